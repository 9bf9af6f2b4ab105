import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { type JWK, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { openIssuerKey } from '../../src/controls/authentication/development/issuer-keys.ts';
import { signManifest } from '../../src/controls/registry/index.ts';
import {
  falseCertificates,
  type MadeCertificate,
  madeCertificate,
} from '../../src/controls/transport/clients-kit.test.ts';
import { openSigningKeys } from '../../src/core/crypto/keys.ts';
import { Quickstart } from './quickstart.ts';
import { endings, recordsOf } from './recorded.ts';

/** Two gateways before one server: `required` hears nobody without a certificate, `optional` asks for one. */
const MODES = ['required', 'optional'] as const;
type Mode = (typeof MODES)[number];
const gateways = {} as Record<Mode, Quickstart>;
/** What each gateway's log must hold in the end. */
const none = { served: 0, refused: 0, missing: 0, operations: 0, lists: 0 };
const expected = { required: { ...none }, optional: { ...none } };
let agents: Agent[] = [];

/** A server that counts what reaches it. */
const TOOL = { name: 'look', description: 'Looks.', inputSchema: { type: 'object', properties: {} } };
const MANIFEST = {
  ...{ format: 1, server: 'counted', prefix: 'counted', title: 'counted', version: '1', owner: 'tests' },
  review: { by: 'tests', at: '2026-11-01T00:00:00Z', note: 'a fixture of ours', accepted: [] },
  tools: [{ exposed: 'counted__look', scopes: ['everything:use'], effect: 'read', definition: TOOL }],
  ...{ prompts: [], resources: [], templates: [], excluded: [] },
};
let reached = 0;
const upstream = createServer(async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  if (req.method !== 'POST') return void res.writeHead(405).end();
  const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id?: number; method?: string };
  if (id === undefined) return void res.writeHead(202).end();
  if (method === 'tools/call') reached++;
  const common = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  const answers: Record<string, object> = {
    'tools/call': { result: { ...common, content: [{ type: 'text', text: 'seen' }] } },
    'server/discover': { result: { ...common, supportedVersions: ['2026-07-28'], capabilities: { tools: {} } } },
    'tools/list': { result: { ...common, tools: [TOOL] } },
  };
  const said = answers[method ?? ''] ?? { error: { code: -32601, message: 'unknown' } };
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', id, ...said }));
});

let authority: MadeCertificate;
let alice: MadeCertificate;
let mallory: MadeCertificate;
let forged: ReadonlyMap<string, MadeCertificate>;
before(async () => {
  authority = await madeCertificate(null);
  alice = await madeCertificate(authority);
  mallory = await madeCertificate(authority, { subject: 'CN=mallory' });
  forged = await falseCertificates(authority);
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`;
  const start = async (certificates: Mode) => {
    gateways[certificates] = await Quickstart.start({
      settings: {
        transport: { clients: { certificates, ca: 'clients.pem' } },
        limits: { backoff: { freeFailures: 1_000 } },
        audit: { strangers: { perSecond: 1_000, perMinute: 10_000 } },
        upstreams: { counted: { http: { url } }, 'internal-readonly': undefined, 'internal-destructive': undefined },
      },
      async prepare(home) {
        writeFileSync(join(home, 'clients.pem'), authority.cert);
        const [key] = openSigningKeys({ folder: join(home, 'keys'), generate: true }, 'operator');
        mkdirSync(join(home, 'registry'), { mode: 0o700 });
        writeFileSync(join(home, 'registry/counted.jws'), await signManifest(MANIFEST, key), { mode: 0o600 });
      },
    });
  };
  await Promise.all(MODES.map(start));
});
after(async () => {
  await Promise.all(agents.map((agent) => agent.destroy()));
  await Promise.all(Object.values(gateways).map((gateway) => gateway.close()));
  upstream.closeAllConnections();
  upstream.close();
});

/** A token of the development issuer; with `holder` bound to that certificate (RFC 8705). */
function token(mode: Mode, holder: MadeCertificate | null, audience?: string): Promise<string> {
  const { home, ready } = gateways[mode].gateway;
  const { kid, jwk } = openIssuerKey(home);
  return new SignJWT({
    scope: 'everything:use',
    client_id: 'tests',
    ...(holder ? { cnf: { 'x5t#S256': holder.thumbprint } } : {}),
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
    .setIssuer(ready.issuer)
    .setSubject('alice')
    .setAudience(audience ?? ready.mcp)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(jwk as JWK);
}

/** A client that presents this certificate, or none; each has connections of its own. */
function clientOf(mode: Mode, shown: MadeCertificate | null): Agent {
  const ca = readFileSync(gateways[mode].gateway.ready.ca, 'utf8');
  const agent = new Agent({ connect: { ca, ...(shown ? { cert: shown.cert, key: shown.key } : {}) } });
  agents = [...agents, agent];
  return agent;
}

const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'tools/call',
  'mcp-name': 'counted__look',
};
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const BODY = JSON.stringify({
  ...{ jsonrpc: '2.0', id: 1, method: 'tools/call' },
  params: { name: 'counted__look', arguments: {}, _meta: META },
});

/** 'nothing': the connection ended without an answer. Under TLS 1.3 a client learns of it only after it has spoken. */
async function look(
  mode: Mode,
  agent: Agent,
  bearer: string | null,
  more: Record<string, string> = {},
): Promise<'served' | 'nothing' | number> {
  const authorization = bearer === null ? {} : { authorization: `Bearer ${bearer}` };
  const headers = { ...HEADERS, ...authorization, ...more };
  const url = gateways[mode].gateway.ready.mcp;
  const answer = await request(url, { method: 'POST', dispatcher: agent, headers, body: BODY }).catch(ending);
  if (answer === null) return 'nothing';
  const text = await answer.body.text();
  if (answer.statusCode === 401) {
    expected[mode][bearer === null ? 'missing' : 'refused']++;
    assert.doesNotMatch(text + String(answer.headers['www-authenticate']), /certificate|bound/i);
  }
  if (answer.statusCode !== 200) return answer.statusCode;
  assert.match(text, /"seen"/);
  expected[mode].served++;
  return 'served';
}

/** An alert, or the end of the connection; anything else would be our own trouble, which proves nothing. */
function ending(cause: NodeJS.ErrnoException): null {
  const code = cause.code ?? '';
  if (/^(ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED|ECONNRESET|EPIPE|UND_ERR_SOCKET)$/.test(code)) return null;
  throw cause;
}

test('required: without a certificate, or with one that does not hold, there is no answer, whatever the token (MT-01, MT-02)', async () => {
  const before = reached;
  for (const [why, shown] of [['none', null], ...forged] as [string, MadeCertificate | null][]) {
    const agent = clientOf('required', shown);
    for (const holder of [null, alice, ...(shown ? [shown] : [])])
      assert.equal(await look('required', agent, await token('required', holder)), 'nothing', why);
  }
  assert.equal(reached, before);
});

test('required: both listeners and every route ask for it', async () => {
  const { ready } = gateways.required.gateway;
  const { origin } = new URL(ready.mcp);
  const urls = [`${origin}/healthz`, `${origin}/.well-known/oauth-protected-resource/mcp`, `${ready.admin}/readyz`];
  const [stranger, known] = [clientOf('required', null), clientOf('required', alice)];
  const status = async (url: string, agent: Agent) =>
    (await request(url, { dispatcher: agent }).catch(ending))?.statusCode ?? 'nothing';
  for (const url of [...urls, `${ready.admin}/api/approvals`])
    assert.equal(await status(url, stranger), 'nothing', url);
  for (const url of urls) assert.equal(await status(url, known), 200, url);
});

test('a good certificate with a token is served; with none it is still nobody', async () => {
  for (const mode of MODES) {
    const agent = clientOf(mode, alice);
    assert.equal(await look(mode, agent, await token(mode, null)), 'served');
    assert.equal(await look(mode, agent, await token(mode, alice)), 'served');
    assert.equal(await look(mode, agent, null), 401);
  }
});

test('a bound token is worth nothing with another certificate, first and once it is known', async () => {
  for (const mode of MODES) {
    const [hers, his] = [clientOf(mode, alice), clientOf(mode, mallory)];
    const stolen = await token(mode, alice);
    const before = reached;
    assert.equal(await look(mode, his, stolen), 401);
    assert.equal(reached, before);
    assert.equal(await look(mode, hers, stolen), 'served');
    for (let i = 0; i < 3; i++) assert.equal(await look(mode, his, stolen), 401);
    assert.equal(reached, before + 1);
    assert.equal(await look(mode, his, await token(mode, mallory)), 'served');
    assert.equal(await look(mode, hers, stolen), 'served', 'what others tried with it is not hers to pay');
  }
});

test('optional: a bound token without a certificate is refused, whatever a header says of one; others are served', async () => {
  const agent = clientOf('optional', null);
  const stolen = await token('optional', alice);
  const pem = encodeURIComponent(alice.cert);
  const spoofs: Record<string, string>[] = [
    {},
    { 'x-forwarded-client-cert': `Hash=${Buffer.from(alice.thumbprint, 'base64url').toString('hex')};Cert="${pem}"` },
    { 'x-ssl-client-cert': pem, 'x-client-verify': 'SUCCESS' },
    { 'client-cert': `:${Buffer.from(alice.cert).toString('base64')}:` },
  ];
  for (const once of ['new', 'known']) {
    for (const more of spoofs) assert.equal(await look('optional', agent, stolen, more), 401, JSON.stringify(more));
    if (once === 'new') assert.equal(await look('optional', clientOf('optional', alice), stolen), 'served');
  }
  assert.equal(await look('optional', agent, await token('optional', null)), 'served');
  assert.equal(await look('optional', agent, null), 401);
});

test('optional: a certificate that does not hold ends the connection, also with a token that needs none', async () => {
  const before = reached;
  for (const [why, shown] of forged) {
    const agent = clientOf('optional', shown);
    for (const holder of [null, alice, shown])
      assert.equal(await look('optional', agent, await token('optional', holder)), 'nothing', why);
  }
  assert.equal(reached, before);
});

test('a TLS session of hers, taken along with her token, proves nothing on another connection', async () => {
  for (const mode of MODES) {
    const stolen = await token(mode, alice);
    const [first] = await overSession(mode, alice, stolen);
    assert.equal(first.status, '200');
    assert.ok(first.session, 'there is a session to take');
    const before = reached;
    const [without, again] = await overSession(mode, null, stolen, first.session);
    // Under `required` not even the handshake succeeds.
    assert.deepEqual([without.status, again], mode === 'required' ? ['', false] : ['401', false]);
    const [other, resumed] = await overSession(mode, mallory, stolen, first.session);
    assert.deepEqual([other.status, resumed], ['401', false]);
    assert.equal(reached, before);
    expected[mode].served++;
    expected[mode].refused += mode === 'required' ? 1 : 2;
  }
});

/** One call on a connection of its own. @returns its answer's status, the session it was given, and whether one was resumed */
function overSession(mode: Mode, shown: MadeCertificate | null, bearer: string, session?: Buffer) {
  const { ready } = gateways[mode].gateway;
  const { host, port } = new URL(ready.mcp);
  const lines = Object.entries({ host, ...HEADERS, authorization: `Bearer ${bearer}`, connection: 'close' });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const certificate = shown ? { cert: shown.cert, key: shown.key } : {};
  return new Promise<[{ status: string; session: Buffer | undefined }, boolean]>((resolve) => {
    let given: Buffer | undefined;
    let text = '';
    let resumed = false;
    const socket = connect({
      ...{ host: '127.0.0.1', port: Number(port), servername: 'localhost', ca: readFileSync(ready.ca) },
      ...certificate,
      session,
    });
    socket.write(`POST /mcp HTTP/1.1\r\n${head}content-length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`);
    socket.on('secureConnect', () => (resumed = socket.isSessionReused()));
    socket.on('session', (made) => (given = made));
    socket.on('data', (chunk) => (text += chunk));
    socket.on('error', () => undefined); // an alert is one of the ways to say no
    socket.on('close', () => resolve([{ status: text.slice(9, 12), session: given }, resumed]));
  });
}

/** `gatewrit` as a person runs it, beside the gateway that hears nobody without a certificate. */
function gatewrit(args: readonly string[], stdin = '', env: Record<string, string> = {}) {
  const { home } = gateways.required.gateway;
  const bin = join(import.meta.dirname, '../../bin/gatewrit.mjs');
  const options = { env: { ...process.env, ...env }, timeout: 20_000 };
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(process.execPath, [bin, ...args, '--home', home], options, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
    child.stdin!.end(stdin);
  });
}

test('our own commands show the certificate they are given, and say so when one is demanded or cannot be used', async () => {
  const { home } = gateways.required.gateway;
  const kept = (name: string, text: string, mode = 0o600) => {
    writeFileSync(join(home, name), text, { mode });
    return join(home, name);
  };
  const foreign = forged.values().next().value!;
  const cert = kept('alice.pem', alice.cert);
  const key = kept('alice.key', alice.key);
  const hers = ['--client-cert', cert, '--client-key', key];
  const his = ['--client-cert', kept('false.pem', foreign.cert), '--client-key', kept('false.key', foreign.key)];
  const env = { GATEWRIT_CLIENT_CERT: cert, GATEWRIT_CLIENT_KEY: key };
  const list = ['approvals', 'list', '--as', 'approver1'];
  const erase = ['audit', 'erase', '--dry-run', '--subject', 'nobody', '--as', 'approver1'];
  const line = `${JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: { _meta: META } })}\n`;
  const demand =
    /the gateway (demands a client certificate: |ended the connection; if it demands .*)give one with --client-cert FILE --client-key FILE/;
  const refused = /the gateway (refused|ended the connection; it may not accept) (this client certificate)/;
  const wrong: [string[], number, RegExp][] = [
    [list, 3, demand],
    [erase, 3, demand],
    [[...list, ...his], 3, refused],
    [['stdio', ...hers.slice(2)], 2, /go together/],
    [[...erase, ...hers.slice(0, 2), '--client-key', kept('other.key', mallory.key)], 3, /do not belong together/],
  ];
  const isWrong = async ([args, code, says]: (typeof wrong)[number]) => {
    const ran = await gatewrit(args);
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stderr}`);
    assert.match(ran.stderr, says);
    assert.equal(ran.stdout, '');
  };
  const [listed, erased, served, unserved] = await Promise.all([
    gatewrit([...list, ...hers]),
    gatewrit([...erase, ...hers]),
    gatewrit(['stdio', '--as', 'bob'], line, env),
    gatewrit(['stdio', '--as', 'bob'], line),
    ...wrong.map(isWrong),
  ]);
  assert.equal(listed.code, 0, listed.stderr);
  assert.equal(erased.code, 1, erased.stderr);
  assert.match(erased.stdout, /There is no key of nobody/);
  assert.match(served.stdout, /"id":7.*counted__look/, served.stderr);
  assert.match(unserved.stderr, demand);
  assert.match(unserved.stdout, /"id":7.*client certificate/);
  expected.required.operations = 2;
  expected.required.lists = 1;
});

test('check finds authorities that cannot be read before a start does', async () => {
  const { home } = gateways.required.gateway;
  const settings = JSON.parse(readFileSync(join(home, 'gatewrit.yaml'), 'utf8')) as { transport: object };
  const ca = join(home, 'broken.pem');
  const config = join(home, 'broken.yaml');
  writeFileSync(ca, authority.cert.slice(0, -80));
  const transport = { ...settings.transport, clients: { certificates: 'required', ca: 'broken.pem' } };
  writeFileSync(config, JSON.stringify({ ...settings, transport }));
  const { code, stdout } = await gatewrit(['check', '--json', '--config', config]);
  assert.equal(code, 1);
  assert.ok(stdout.includes(`transport.clients.ca: ${ca} must hold certificates in PEM`), stdout);
});

test('every refusal is recorded with its reason, every call with its proof; a failed handshake is no call', async () => {
  for (const mode of MODES) {
    const { home } = gateways[mode].gateway;
    assert.equal(await gateways[mode].stop(), 0, gateways[mode].gateway.log().slice(-2_000));
    const records = await recordsOf(home);
    const { served, refused, missing, operations, lists } = expected[mode];
    const counts = {
      '': served + operations + lists,
      'authentication.invalid': refused,
      'authentication.missing': missing,
    };
    // The admin route that was asked without a certificate never was a call.
    assert.deepEqual(Object.fromEntries(endings(records)), counts);
    const metas = records.flatMap(({ meta }) => (meta ? [meta] : []));
    const reasons = metas.filter(({ code }) => code === 'authentication.invalid').map(({ evidence }) => evidence);
    assert.deepEqual(new Set(reasons), new Set(['bound to another client certificate']));
    assert.equal(reasons.length, refused);
    const proofs = records.flatMap(({ envelope, meta }) => (envelope.kind === 'intent' ? [meta?.['proof']] : []));
    assert.equal(proofs.length, served + operations);
    assert.deepEqual(new Set(proofs), new Set(['bearer', 'mtls']));
  }
});
