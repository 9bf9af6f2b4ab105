import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Asked, reply, type World, world } from '../../upstream/oauth/fixture.test.ts';
import { LoopbackRedirect } from './loopback-redirect.ts';
import { upstreamCommand } from './upstream.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-upstream-cli-'));
const closing: (() => unknown)[] = [() => rmSync(folder, { recursive: true })];
after(async () => {
  for (const close of closing.reverse()) await close();
});

/** A modern MCP server that wants the token of its authorization server. */
async function upstream(name: string): Promise<{ at: World; config: string; home: string }> {
  const at = await world();
  closing.push(at.close);
  at.resource = { ...at.resource, scopes_supported: ['read'] };
  at.paths.set('/mcp', (res, asked) => {
    if (!asked.headers.authorization?.startsWith('Bearer token-')) return reply(res, 401, {});
    const { id, method } = JSON.parse([...asked.form.keys()][0] ?? '{}') as { id: number; method: string };
    const discovered = { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
    const result = method === 'server/discover' ? discovered : { tools: [{ name: 'buy', inputSchema: {} }] };
    reply(res, 200, {
      jsonrpc: '2.0',
      id,
      result: { resultType: 'complete', ttlMs: 0, cacheScope: 'private', ...result },
    });
  });
  const config = join(folder, `${name}.yaml`);
  const oauth = 'oauth: { reach: loopback }';
  writeFileSync(
    config,
    `authentication: { development: true }\nupstreams: { shop: { http: { url: "${at.endpoint}", ${oauth} } }, plain: { http: { url: "${at.endpoint}" } } }\n`,
  );
  return { at, config, home: join(folder, name) };
}

/** Runs the command; `browse` gets the page that was printed. */
async function run(argv: readonly string[], browse: (page: URL) => unknown = () => {}) {
  const said = { out: '', err: '', code: -1 };
  said.code = await upstreamCommand.run([...argv], {
    stdout: (text) => {
      said.out += text;
    },
    stderr: (text) => {
      said.err += text;
      const page = /https?:\S+/.exec(text)?.[0];
      if (page) browse(new URL(page));
    },
  });
  return said;
}

async function comeBack(page: URL, answer: Readonly<Record<string, string>>): Promise<Response> {
  const callback = new URL(page.searchParams.get('redirect_uri')!);
  for (const [name, value] of Object.entries(answer)) callback.searchParams.set(name, value);
  return fetch(callback);
}
const grant = (page: URL) => comeBack(page, { code: 'the-code', state: page.searchParams.get('state')! });
const asked = (at: World, path: string): Asked[] => at.asked.filter((one) => one.path === path);

describe('gatewrit upstream', () => {
  test('sign-in: a person opens the page, the credential works and is kept sealed; sign-out takes it away', async () => {
    const { at, config, home } = await upstream('signing');
    const done = await run(['sign-in', 'shop', '--config', config, '--home', home], grant);
    assert.equal(done.code, 0, done.err);
    assert.match(done.out, /^signed in at shop; 1 tools are there/);
    assert.equal(asked(at, '/token')[0]!.form.get('resource'), at.endpoint);
    assert.doesNotMatch(done.out + done.err, /token-1|refresh-1|the-code/);
    assert.doesNotMatch(readFileSync(join(home, 'store', 'gatewrit.db'), 'latin1'), /token-1|refresh-1/);

    const out = await run(['sign-out', 'shop', '--config', config, '--home', home, '--json']);
    assert.deepEqual([out.code, out.out], [0, '{"server":"shop","signedIn":false}\n']);
  });

  test('sign-in: a no of the person is a finding, told in one word of the protocol', async () => {
    const { config, home } = await upstream('denied');
    const done = await run(['sign-in', 'shop', '--config', config, '--home', home, '--json'], (page) =>
      comeBack(page, { error: 'access_denied', state: page.searchParams.get('state')! }),
    );
    assert.deepEqual([done.code, done.out], [1, '{"server":"shop","signedIn":false,"code":"callback"}\n']);
    assert.match(done.err, /access_denied/);
  });

  test('an upstream without oauth, or one that is not there, is wrong use with a sentence', async () => {
    const { config, home } = await upstream('none');
    await assert.rejects(run(['sign-in', 'plain', '--config', config, '--home', home]), /oauth is not set/);
    await assert.rejects(run(['sign-in', 'shp', '--config', config, '--home', home]), /did you mean "shop"/);
    assert.equal((await run(['sign-in'])).code, 2);
    assert.equal((await run(['sign-in', 'shop', '--port', 'x'])).code, 2);
  });

  test('client-metadata: the document names itself and a loopback redirect', async () => {
    const done = await run(['client-metadata', '--url', 'https://us.example/client.json', '--port', '4000']);
    const document = JSON.parse(done.out) as Record<string, unknown>;
    assert.equal(document['client_id'], 'https://us.example/client.json');
    assert.deepEqual(document['redirect_uris'], ['http://127.0.0.1:4000/callback']);
    assert.deepEqual(document['grant_types'], ['authorization_code', 'refresh_token']);
    assert.equal(document['token_endpoint_auth_method'], 'none');
  });
});

test('the loopback redirect hears only the browser that was sent away, and says nothing to others', async () => {
  const redirect = await LoopbackRedirect.listen(0, () => {});
  closing.push(() => redirect.close());
  const coming = redirect.open('https://as.example/authorize?state=right');
  assert.match(redirect.redirectUri, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  for (const [path, method] of [
    ['/callback?code=x&state=wrong', 'GET'],
    ['/callback?code=x', 'GET'],
    ['/other?code=x&state=right', 'GET'],
    ['/callback?code=x&state=right', 'POST'],
  ] as const)
    assert.equal((await fetch(new URL(path, redirect.redirectUri), { method })).status, 404, path);
  const answer = await fetch(`${redirect.redirectUri}?code=x&state=right`);
  assert.equal(answer.status, 200);
  assert.doesNotMatch(await answer.text(), /code|right/);
  assert.equal(await coming, `${redirect.redirectUri}?code=x&state=right`);
});
