import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { X509CertificateGenerator } from '@peculiar/x509';
import { approvalsCommand } from './approvals.ts';
import { writeReady } from './ready.ts';

/** A TLS server that answers as the admin API does, and a home that says where it is. */
const pair = await selfSigned();
const home = mkdtempSync(join(tmpdir(), 'gatewrit-approvals-'));
const ca = join(home, 'ca.pem');
writeFileSync(ca, pair.certificate);
let answer: RequestListener = (_req, res) => res.end('{}');
const seen: { method: string; url: string; authorization: string; body: string }[] = [];
const server = createServer({ key: pair.key, cert: pair.certificate }, (req, res) => {
  let body = '';
  req.on('data', (chunk) => {
    body += chunk;
  });
  req.on('end', () => {
    seen.push({ method: req.method!, url: req.url!, authorization: req.headers.authorization!, body });
    answer(req, res);
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const admin = `https://localhost:${(server.address() as AddressInfo).port}`;
const ready = { ready: true, mcp: admin, admin, issuer: '', ca, pid: 1, resources: [], scopes: [] } as const;
writeReady(home, ready);
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true });
});

const ID = '0123456789abcdef0123456789abcdef';
const summary = {
  id: ID,
  state: 'pending',
  target: 'jira/jira_create',
  effect: 'destructive',
  rule: 'destructive',
  quorum: 1,
  askedAt: 1_760_000_000_000,
  decideBy: 1_760_000_600_000,
  runBy: null,
  digest: 'a1b2c3d4e5f6',
  phrase: 'acorn amber anchor apple',
};

async function run(...argv: string[]) {
  let out = '';
  let err = '';
  const command = approvalsCommand(async (_home, person) => `token-of-${person}`);
  const io = {
    stdout: (text: string) => {
      out += text;
    },
    stderr: (text: string) => {
      err += text;
    },
  };
  return { code: await command.run(argv, io), out, err };
}

const reply =
  (status: number, body: unknown): RequestListener =>
  (_req, res) =>
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

test('list prints a table of what waits, and --json the answer as it is', async () => {
  answer = reply(200, { approvals: [{ ...summary, subject: 'alice', client: 'desktop', yours: true }], more: 0 });
  const table = await run('list', '--as', 'approver1', '--home', home);
  assert.equal(table.code, 0);
  assert.match(
    table.out,
    /jira\/jira_create +destructive +alice +desktop +2025-10-09T09:03:20Z +acorn amber anchor apple/,
  );
  assert.deepEqual([seen.at(-1)!.method, seen.at(-1)!.url], ['GET', '/api/approvals']);
  assert.equal(seen.at(-1)!.authorization, 'Bearer token-of-approver1');
  const json = await run('list', '--as', 'approver1', '--home', home, '--json');
  assert.equal(JSON.parse(json.out).approvals[0].id, ID);
  answer = reply(200, { approvals: [], more: 0 });
  assert.equal((await run('list', '--as', 'approver1', '--home', home)).out, 'Nothing waits for you.\n');
});

test('show prints the card; nothing in it can move the cursor, hide, or look like ours', async () => {
  const value = (path: string, text: string, more = {}) => ({
    path,
    type: 'string',
    text,
    tail: '',
    hidden: 0,
    marks: [],
    ...more,
  });
  answer = reply(200, {
    ...summary,
    votes: 0,
    card: {
      server: 'jira',
      name: 'jira_create',
      resource: '',
      definition: 'd',
      asker: { subject: 'alice\u001b[2J', issuer: 'https://issuer.test', client: 'desktop', actors: [] },
      arguments: [
        value('/title', 'Delete\u202e "all"', { marks: ['bidi'] }),
        value('/long', 'head', { tail: 'tail', hidden: 4_000, marks: ['truncated'] }),
      ],
      meta: [],
      omitted: 0,
      uninspectable: true,
      before: 'unknown',
    },
  });
  const { code, out } = await run('show', ID, '--as', 'approver1', '--home', home);
  assert.equal(code, 0);
  assert.match(out, /asked by +alice\\u\{1b\}\[2J at https:\/\/issuer\.test, client desktop/);
  assert.match(out, /\/title = "Delete\\u\{202e\} \\"all\\"" {2}\[bidi\]/);
  assert.match(out, /\/long = "head" … 4000 characters not shown … "tail" {2}\[truncated\]/);
  assert.match(out, /UNINSPECTABLE/);
  assert.match(out, /it may have run already/);
  assert.match(out, /a1b2c3d4e5f6 {2}acorn amber anchor apple/);
  assert.doesNotMatch(out.replaceAll('\n', ''), /\p{C}/u);
});

test('approve and deny post the decision with its reason and say what follows', async () => {
  answer = reply(200, { id: ID, state: 'approved', votes: 1, quorum: 1, runBy: 1_760_000_120_000 });
  const approved = await run('approve', ID, '--as', 'approver1', '--reason', 'ticket 7', '--home', home);
  assert.equal(approved.code, 0);
  assert.match(approved.out, /runs once, when its caller repeats the call until 2025-10-09T08:55:20/);
  assert.deepEqual(
    [seen.at(-1)!.method, seen.at(-1)!.url, seen.at(-1)!.body],
    ['POST', `/api/approvals/${ID}/approve`, '{"reason":"ticket 7"}'],
  );
  answer = reply(200, { id: ID, state: 'pending', votes: 1, quorum: 2, runBy: null });
  assert.match((await run('approve', ID, '--as', 'approver1', '--home', home)).out, /1 of 2/);
  answer = reply(200, { id: ID, state: 'denied', votes: 0, quorum: 1, runBy: null });
  assert.match((await run('deny', ID, '--as', 'approver1', '--home', home)).out, /nothing runs/);
  assert.equal(seen.at(-1)!.url, `/api/approvals/${ID}/deny`);
});

test('what cannot be an id is sent nowhere', async () => {
  const before = seen.length;
  for (const id of ['..', '../x', 'a/b', 'a?b', 'ä', ' ']) {
    assert.equal((await run('approve', id, '--as', 'a', '--home', home)).code, 2, id);
  }
  assert.equal(seen.length, before);
});

test('a refusal is exit 1 with its reason, an outage 3, wrong use 2', async () => {
  answer = reply(403, { error: { code: 'SELF_APPROVAL', message: 'Not your own.', correlationId: 'c-1' } });
  const refused = await run('approve', ID, '--as', 'alice', '--home', home);
  assert.deepEqual([refused.code, refused.out], [1, '']);
  assert.match(refused.err, /SELF_APPROVAL: Not your own\. \(correlation id c-1\)/);
  answer = reply(503, { error: { code: 'AUDIT_UNAVAILABLE', message: 'Down.' } });
  assert.equal((await run('list', '--as', 'a', '--home', home)).code, 3);
  answer = (_req, res) => res.end('<html>');
  assert.equal((await run('list', '--as', 'a', '--home', home)).code, 3);
  assert.equal((await run('list', '--as', 'a', '--home', join(home, 'nowhere'))).code, 3);
  const before = seen.length;
  for (const argv of [
    [],
    ['list'],
    ['approve', '--as', 'a'],
    ['list', ID, '--as', 'a'],
    ['nod', ID, '--as', 'a'],
    ['list', '--as', 'a', '--bad'],
    ['show', ID, '--as', 'a', '--reason', 'x'],
  ]) {
    assert.equal((await run(...argv, '--home', home)).code, 2, argv.join(' '));
  }
  assert.equal(seen.length, before, 'nothing was sent');
  assert.match((await run('--help')).out, /Example: gatewrit approvals list --as approver1/);
});

test('the token goes to no other server: not to one of another authority, not over plain HTTP, not after a redirect', async () => {
  const other = mkdtempSync(join(tmpdir(), 'gatewrit-approvals-'));
  const strange = join(other, 'ca.pem');
  writeFileSync(strange, (await selfSigned()).certificate);
  const before = seen.length;
  writeReady(other, { ...ready, ca: strange });
  assert.equal((await run('list', '--as', 'a', '--home', other)).code, 3);
  writeReady(other, { ...ready, admin: admin.replace('https', 'http') });
  assert.equal((await run('list', '--as', 'a', '--home', other)).code, 3);
  assert.equal(seen.length, before);
  answer = (_req, res) => res.writeHead(307, { location: `${admin}/elsewhere` }).end('{}');
  assert.equal((await run('list', '--as', 'a', '--home', home)).code, 1);
  assert.equal(seen.length, before + 1, 'asked once, never followed');
  rmSync(other, { recursive: true });
});

async function selfSigned() {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2090-01-01'),
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  };
}
