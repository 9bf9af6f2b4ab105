import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Answer, textOf, wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { debian } from './install.ts';

/**
 * jira_search and jira_create over REST, through a running gateway. No real Jira Cloud can be reached from a test: this
 * is a server of ours that holds to what the documentation of `POST /rest/api/3/search/jql` and `POST /rest/api/3/issue`
 * says of requests, answers and errors. It shows that we speak as documented, not that Jira does.
 */
console.log(
  '\n!!! no real Jira Cloud is reached: its client is tested against a local server that follows the documentation\n',
);

const root = join(import.meta.dirname, '../..');
const missing = debian('openssl', 'openssl');
const EMAIL = 'bot@example.org';
const TOKEN = 'token-of-this-test';

describe('the Jira Cloud driver, through the gateway', { skip: missing ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-jira-'));
  const certificate = join(folder, 'cert.pem');
  let jira: JiraLike;
  const gateways: Quickstart[] = [];

  before(async () => {
    const key = join(folder, 'key.pem');
    const args = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext';
    const more = ['subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate];
    execFileSync('openssl', [...args.split(' '), ...more], { stdio: 'pipe' });
    jira = await JiraLike.start({ key: readFileSync(key), cert: readFileSync(certificate) });
  });
  after(async () => {
    for (const gateway of gateways) await gateway.close();
    jira?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(env: Record<string, string> = {}) {
    const server = (file: string) => ({
      stdio: {
        command: 'node',
        args: [`examples/internal-tools/${file}`],
        cwd: root,
        env: {
          JIRA_URL: jira.url,
          JIRA_EMAIL: EMAIL,
          JIRA_TOKEN: TOKEN,
          JIRA_PROJECT: 'SHOP',
          NODE_EXTRA_CA_CERTS: certificate,
          ...env,
        },
      },
    });
    const upstreams = { 'internal-readonly': server('readonly.ts'), 'internal-destructive': server('destructive.ts') };
    const quickstart = await Quickstart.start({ settings: { upstreams } });
    gateways.push(quickstart);
    const token = await quickstart.token('bob', ['jira:read', 'jira:write']);
    return {
      quickstart,
      search: (jql: string) => quickstart.gateway.call('readonly__jira_search', { jql }, token),
      create: (issue: object) => quickstart.gateway.call('destructive__jira_create', issue, token),
    };
  }

  test('searches with JQL, sees key, summary and status, and no field more is asked for', async () => {
    const { search } = await start();
    const answer = await search('project = SHOP AND status = "To Do"');
    assert.deepEqual(JSON.parse(textOf(answer)), {
      issues: [
        { key: 'SHOP-1', title: 'Order a whiteboard', status: 'To Do' },
        { key: 'SHOP-2', title: '', status: '' },
      ],
    });
    assert.deepEqual(jira.asked.at(-1), {
      jql: 'project = SHOP AND status = "To Do"',
      maxResults: 50,
      fields: ['summary', 'status'],
    });
  });

  test('a query that Jira refuses is an error, without where it happened', async () => {
    const { search } = await start();
    const answer = await search('order by created');
    assert.equal(answer.json.result?.['isError'], true, answer.text);
    assert.doesNotMatch(answer.text, /localhost|node_modules|\.ts:/);
  });

  test('creates an issue once a person has approved it, text as a document of paragraphs', async () => {
    const { quickstart, create } = await start();
    const issue = { title: 'Buy chairs', description: 'Four of them.\n\nBlue & "soft".' };
    const asked = await create(issue);
    assert.equal(wordOf(asked), 'APPROVAL_REQUIRED', asked.text);
    assert.deepEqual(jira.created, []);
    const meta = asked.json.result!['_meta'] as Record<string, { id: string }>;
    const approved = await quickstart.gateway.run(
      'approvals',
      'approve',
      meta['gatewrit/approval']!.id,
      '--as',
      'approver1',
    );
    assert.equal(approved.code, 0, approved.stderr);
    const done = await create(issue);
    assert.match(textOf(done), /"key":"SHOP-3"/);
    const paragraph = (...texts: string[]) => ({
      type: 'paragraph',
      content: texts.map((text) => ({ type: 'text', text })),
    });
    assert.deepEqual(jira.created, [
      {
        project: { key: 'SHOP' },
        summary: 'Buy chairs',
        issuetype: { name: 'Task' },
        description: {
          type: 'doc',
          version: 1,
          content: [paragraph('Four of them.'), paragraph(), paragraph('Blue & "soft".')],
        },
      },
    ]);
  });

  test('a wrong token, a certificate nobody vouches for and a redirect are errors that carry no token', async () => {
    const wrong = await start({ JIRA_TOKEN: 'wrong' });
    failsQuietly(await wrong.search('project = SHOP'));
    const untrusted = await start({ NODE_EXTRA_CA_CERTS: '' });
    const before = jira.requests;
    failsQuietly(await untrusted.search('project = SHOP'));
    assert.equal(jira.requests, before, 'nothing was said to a server that was not verified');
    const moved = await start({ JIRA_URL: `${jira.url}/moved` });
    failsQuietly(await moved.search('project = SHOP'));
    assert.equal(jira.requests, before + 1, 'the redirect was not followed');
  });
});

function failsQuietly(answer: Answer): void {
  assert.equal(answer.json.result?.['isError'], true, answer.text);
  for (const leak of [TOKEN, Buffer.from(`${EMAIL}:${TOKEN}`).toString('base64'), 'localhost', 'node_modules'])
    assert.ok(!answer.text.includes(leak), `${leak} is in ${answer.text}`);
}

/** Answers the two documented endpoints below its root (sites) and refuses what the documentation does not allow. */
class JiraLike {
  readonly asked: unknown[] = [];
  readonly created: unknown[] = [];
  requests = 0;
  readonly #server: Server;

  private constructor(pair: { key: Buffer; cert: Buffer }) {
    this.#server = createServer(pair, (req, res) => {
      this.requests++;
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const { status, headers, body } = this.#answer(req.method!, req.url!, req.headers, Buffer.concat(chunks));
        res.writeHead(status, { 'content-type': 'application/json;charset=UTF-8', ...headers });
        res.end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
  }

  static async start(pair: { key: Buffer; cert: Buffer }): Promise<JiraLike> {
    const jira = new JiraLike(pair);
    jira.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => jira.#server.once('listening', resolve));
    return jira;
  }

  get url(): string {
    return `https://localhost:${(this.#server.address() as { port: number }).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(method: string, url: string, headers: Record<string, unknown>, bytes: Buffer): JiraAnswer {
    const refuse = (message: string) => ({ status: 400, body: { errorMessages: [message], errors: {} } });
    if (url.startsWith('/moved/'))
      return { status: 302, headers: { location: `${this.url}${url.slice(6)}` }, body: '' };
    if (headers['authorization'] !== `Basic ${Buffer.from(`${EMAIL}:${TOKEN}`).toString('base64')}`)
      return { status: 401, body: 'Client must be authenticated to access this resource.' };
    if (method !== 'POST' || headers['content-type'] !== 'application/json') return { status: 415, body: '' };
    const body = JSON.parse(bytes.toString()) as { jql?: string; fields?: Record<string, unknown> };
    if (url === '/rest/api/3/search/jql') {
      this.asked.push(body);
      if (!body.jql || /^order by/i.test(body.jql))
        return refuse('Unbounded JQL queries are not allowed here. Please add a search restriction to your query.');
      return { status: 200, body: { isLast: true, issues: this.#issues() } };
    }
    if (url === '/rest/api/3/issue') {
      this.created.push(body.fields);
      return { status: 201, body: { id: '10003', key: 'SHOP-3', self: `${this.url}/rest/api/3/issue/10003` } };
    }
    return { status: 404, body: { errorMessages: ['null for uri'], errors: {} } };
  }

  /** The second is one whose fields this account may not see. */
  #issues(): object[] {
    const self = (id: string) => `${this.url}/rest/api/3/issue/${id}`;
    const fields = { summary: 'Order a whiteboard', status: { self: '', name: 'To Do', id: '10000' } };
    return [
      { expand: '', id: '10001', self: self('10001'), key: 'SHOP-1', fields },
      { expand: '', id: '10002', self: self('10002'), key: 'SHOP-2', fields: {} },
    ];
  }
}

interface JiraAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: object | string;
}
