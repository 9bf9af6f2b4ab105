import 'reflect-metadata';
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { X509CertificateGenerator } from '@peculiar/x509';
import { checkCommand } from '../../src/inbound/cli/check.ts';

/** `gatewrit check` and `gatewrit keys` as commands, over the quickstart, a hardened production home and a weak one. */
const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'gatewrit-check-'));
const home = join(folder, 'home');
const etc = join(folder, 'etc');
const config = join(folder, 'gatewrit.yaml');
const weakConfig = join(root, 'test/samples/weak.yaml');
after(() => rmSync(folder, { recursive: true }));

interface Row {
  readonly place: string;
  readonly state: string;
  readonly points: readonly { readonly what: string; readonly remedy: string; readonly stops: boolean }[];
}
interface Report {
  readonly good: boolean;
  readonly starts: boolean;
  readonly controls: readonly Row[];
  readonly around: readonly Row[];
  readonly settings: readonly { readonly key: string; readonly value: string; readonly meaning: string }[];
}

function gatewrit(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const command = [join(root, 'bin/gatewrit.mjs'), ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, { timeout: 60_000 }, (error, out, err) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, out, err }),
    );
  });
}

/** The same without a process of its own. */
async function checked(...args: readonly string[]): Promise<{ code: number; report: Report }> {
  const out: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: assert.fail };
  const code = await checkCommand.run(['--json', ...args], io);
  return { code, report: JSON.parse(out.join('')) as Report };
}
const pointsOf = (report: Report) => [...report.controls, ...report.around].flatMap(({ points }) => points);
const namesOf = (report: Report) => pointsOf(report).map(({ what }) => what);
const production = () => checked('--config', config, '--home', home);

const CARD = [
  'authentication',
  'authorization',
  'approval',
  'validation',
  'redaction',
  'audit',
  'registry',
  'transport',
  'errors',
  'limits',
];

/** A home as docs/guides/production.md makes it, from examples/production, with paths of this test. */
before(async () => {
  const sample = join(root, 'examples/production');
  for (const name of ['tls', 'trust', 'secrets']) mkdirSync(join(etc, name), { recursive: true });
  writeFileSync(
    config,
    readFileSync(join(sample, 'gatewrit.yaml'), 'utf8').replaceAll('/etc/gatewrit', etc).replace('/mnt/second', folder),
  );
  mkdirSync(join(folder, 'gatewrit'));
  await writePair('mcp.example.com');
  cpSync(join(etc, 'tls/chain.pem'), join(etc, 'trust/internal-ca.pem'));
  writeFileSync(join(etc, 'secrets/tickets'), 'Bearer 5Jx0QmT2vN8rKcW1yZ4b\n', { mode: 0o600 });
  const reviewer = join(folder, 'reviewer');
  const { out } = await gatewrit(['manifest', 'keygen', '--home', reviewer]);
  writeFileSync(join(etc, 'trust/operators.jwks'), out);
  const made = await gatewrit(['keys', 'init', '--except', 'operator', '--home', home]);
  assert.equal(made.code, 0, made.err);
  cpSync(join(sample, 'policy'), join(home, 'policy'), { recursive: true });
  mkdirSync(join(home, 'registry'));
  const manifest = join(sample, 'manifests/tickets.json');
  const signed = await gatewrit([
    'manifest',
    'sign',
    manifest,
    '--home',
    reviewer,
    '--out',
    join(home, 'registry/tickets.jws'),
  ]);
  assert.equal(signed.code, 0, signed.err);
});

async function writePair(name: string, days: readonly [from: number, to: number] = [-1, 90]): Promise<void> {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const at = (day: number) => new Date(Date.now() + day * 86_400_000);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    notBefore: at(days[0]),
    notAfter: at(days[1]),
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
  writeFileSync(join(etc, 'tls/chain.pem'), certificate.toString('pem'));
  writeFileSync(join(etc, 'tls/key.pem'), key, { mode: 0o600 });
}

test('the hardened production sample: ten controls, all strong, exit 0', async () => {
  const { code, report } = await production();
  assert.deepEqual(namesOf(report), []);
  assert.deepEqual([code, report.good, report.starts], [0, true, true]);
  assert.deepEqual(
    report.controls.map(({ place, state }) => [place, state]),
    CARD.map((name) => [name, 'strong']),
  );
  const { out } = await gatewrit(['check', '--config', config, '--home', home, '--explain']);
  assert.match(out, /strong: all ten controls hold/);
  assert.match(out, /tokens made for this gateway by https:\/\/login\.example\.com\/ \(ES256\)/);
  assert.match(
    out,
    /KEK in the home, 0 d old; sinks second-disk \(folder, required\); witness witness\.example\.org\/w1 every 10 s/,
  );
  assert.match(out, /2 reviewed items served from signed manifests/);
  for (const { key, meaning } of report.settings) {
    assert.ok(out.includes(`${key} = `), key);
    assert.notEqual(meaning, '', `${key} is set without a word on what it means`);
  }
});

test('the quickstart: weak in authentication alone, before its first start, exit 1', async () => {
  const { code, report } = await checked('--home', join(folder, 'none'));
  assert.deepEqual([code, report.good, report.starts], [1, false, true]);
  const weak = report.controls.filter(({ state }) => state !== 'strong').map(({ place }) => place);
  assert.deepEqual(weak, ['authentication']);
  assert.equal(existsSync(join(folder, 'none')), false, 'nothing was made');
});

test('the weak sample: every relaxed setting is named, each with its remedy, and the card says where', async () => {
  process.env['GATEWRIT_TEST_SAMPLE_CREDENTIAL'] = 'Bearer changeme';
  const { code, report } = await checked('--config', weakConfig, '--home', join(folder, 'empty'));
  assert.deepEqual([code, report.good, report.starts], [1, false, false]);
  const names = namesOf(report);
  for (const expected of [
    'an issuer may name audiences',
    'an issuer may leave out the token type',
    'fetched without TLS',
    'authorization.mode is observe',
    'validation.mode is observe',
    'validation.formats is annotate',
    'redaction.profile: none',
    'redaction.mode: observe',
    'redaction.requestSecrets: report',
    'redaction.types.EMAIL: report',
    'registry.unobserved is serve',
    'transport.hstsMaxAgeSeconds',
    'transport.origins lists pages loaded without TLS',
    'transport.maxBodyBytes',
    'transport.bodyTimeoutMs',
    'transport.headersTimeoutMs',
    'transport.requestTimeoutMs',
    'transport.handshakeTimeoutMs',
    'transport.writeTimeoutMs',
    'limits.driver is unlimited',
    'store.driver is memory',
    'upstreams.tickets: calls leave this machine without TLS',
    'upstreams.tickets: env:GATEWRIT_TEST_SAMPLE_CREDENTIAL holds no credential',
    'listen.admin.host is every address',
    'transport.tls is missing',
    'there is no policy',
    'key audit-kek is missing',
    'key state-seal is missing',
  ])
    assert.ok(
      names.some((name) => name.includes(expected)),
      `${expected}\n${names.join('\n')}`,
    );
  for (const { what, remedy } of pointsOf(report)) assert.ok(remedy.length > 10, what);
  const state = Object.fromEntries(report.controls.map((row) => [row.place, row.state]));
  assert.equal(state['redaction'], 'off');
  for (const name of ['authentication', 'authorization', 'validation', 'registry', 'transport', 'limits', 'audit'])
    assert.equal(state[name], 'weak', name);
  const { out } = await gatewrit(['check', '--config', weakConfig, '--home', join(folder, 'empty')]);
  assert.match(out, /gatewrit start would refuse this/);
  assert.equal(out.includes('changeme'), false, 'a secret is never shown');
});

test('check says of a variable of a server that names nothing what start says of it', async () => {
  const file = join(folder, 'variable.yaml');
  const env =
    '{ A: "env:GATEWRIT_TEST_UNSET", B: "env:GATEWRIT_TEST_UNSET?", C: "file:/none/c", D: plain, E: "home:e" }';
  writeFileSync(
    file,
    `authentication: { development: true }\nupstreams: { crm: { stdio: { command: node, env: ${env} } } }\n`,
  );
  const { report } = await checked('--config', file, '--home', join(folder, 'empty'));
  assert.equal(report.starts, false);
  const stopping = pointsOf(report).filter(({ stops }) => stops);
  assert.deepEqual(
    stopping.map(({ what }) => what.split(';')[0]),
    ['upstreams.crm: env:GATEWRIT_TEST_UNSET is not set', 'upstreams.crm: /none/c cannot be read'],
  );
});

test('check says of the authority of a server that is none what start says of it', async () => {
  const file = join(folder, 'authority.yaml');
  writeFileSync(file, 'upstreams: { crm: { http: { url: "https://crm.example.com/mcp", ca: trust/none.pem } } }\n');
  const { report } = await checked('--config', file, '--home', join(folder, 'empty'));
  const said = `upstreams.crm: http.ca: ${join(folder, 'trust/none.pem')} does not exist`;
  assert.ok(namesOf(report).includes(said), namesOf(report).join('\n'));
  mkdirSync(join(folder, 'trust'), { recursive: true });
  writeFileSync(join(folder, 'trust/none.pem'), '');
  const { report: empty } = await checked('--config', file, '--home', join(folder, 'empty'));
  assert.ok(namesOf(empty).some((name) => name.endsWith('none.pem is no certificate in PEM')));
});

/** Does something to the production home, looks, and undoes it. */
async function inHome(change: () => void | Promise<void>, undo: () => void | Promise<void>): Promise<Report> {
  await change();
  try {
    const { code, report } = await production();
    assert.equal(code, 1);
    return report;
  } finally {
    await undo();
  }
}

test('what lies in the home is judged too: certificates, modes, policy, manifests, old and sample keys', async () => {
  const one = async (report: Report, place: string, what: RegExp, stops: boolean) => {
    const [point, ...more] = pointsOf(report);
    assert.deepEqual(more, []);
    assert.match(point!.what, what);
    assert.equal(point!.stops, stops);
    assert.deepEqual(
      [...report.controls, ...report.around].filter(({ state }) => state !== 'strong').map((row) => row.place),
      [place],
    );
  };
  const pair = () => writePair('mcp.example.com');
  await one(await inHome(() => writePair('mcp.example.com', [-90, -1]), pair), 'transport', /certificate ended/, true);
  await one(await inHome(() => writePair('mcp.example.com', [-80, 5]), pair), 'transport', /ends in [45] days/, false);
  await one(await inHome(() => writePair('x, O=Internet Widgits Pty Ltd'), pair), 'transport', /is a sample/, true);
  const key = join(etc, 'tls/key.pem');
  await one(
    await inHome(
      () => chmodSync(key, 0o644),
      () => chmodSync(key, 0o600),
    ),
    'transport',
    /may be read by others/,
    true,
  );

  const approval = join(home, 'policy/20-approval.cedar');
  const rule = readFileSync(approval);
  const unapproved = await inHome(
    () => rmSync(approval),
    () => writeFileSync(approval, rule),
  );
  assert.equal(unapproved.controls.find(({ place }) => place === 'approval')!.state, 'off');
  const open = join(home, 'policy/99-open.cedar');
  const all = '@id("all") permit (principal, action, resource);\n';
  await one(
    await inHome(
      () => writeFileSync(open, all),
      () => rmSync(open),
    ),
    'authorization',
    /rule all .* permits everybody/,
    false,
  );
  const broken = '@id("b") permit (principal, action, resource) when { principal.scops == [] };';
  const unread = await inHome(
    () => writeFileSync(open, broken),
    () => rmSync(open),
  );
  assert.ok(pointsOf(unread).some(({ what, stops }) => stops && what.startsWith('99-open.cedar:1')));

  const manifest = join(home, 'registry/tickets.jws');
  const signed = readFileSync(manifest, 'utf8');
  const forged = signed.replace(/^./, (c) => (c === 'e' ? 'f' : 'e'));
  const undo = () => writeFileSync(manifest, signed);
  await one(await inHome(() => writeFileSync(manifest, forged), undo), 'registry', /tickets is withheld/, false);
  await one(await inHome(() => rmSync(manifest), undo), 'registry', /tickets has no signed manifest/, false);

  const kek = join(home, 'keys/audit-kek.jwks');
  const real = readFileSync(kek);
  const k = Buffer.alloc(32, 1).toString('base64url');
  const sample = JSON.stringify({ keys: [{ kty: 'oct', k }] });
  const back = () => writeFileSync(kek, real);
  await one(await inHome(() => writeFileSync(kek, sample), back), 'audit', /audit-kek cannot be used/, true);

  const text = readFileSync(config, 'utf8');
  const [witness, copy] = [/ {2}witness:\n.*\n.*\n/, / {4}- \{ kind: folder.*\n/];
  const set = (changed: string) =>
    inHome(
      () => writeFileSync(config, changed),
      () => writeFileSync(config, text),
    );
  const alone = text.replace(witness, '').replace(copy, '').replace('  sinks:', '  sinks: []');
  await one(await set(alone), 'audit', /no witness and no copy/, false);
  await one(
    await set(text.replace(`${folder}/gatewrit,`, `${folder}/unmounted,`)),
    'audit',
    /no folder .*unmounted/,
    false,
  );
  const otlp =
    '    - { kind: otlp, name: siem, url: "https://siem.example.com/v1/logs", bearer: "file:/nowhere/token" }\n$&';
  await one(await set(text.replace(copy, otlp)), 'audit', /siem: \/nowhere\/token cannot be read/, true);
  await one(
    await set(text.replace(/^audit:/m, '$&\n  kek: file:/nowhere/kek')),
    'audit',
    /audit.kek: .*cannot be read/,
    true,
  );
});

test('settings that cannot be read are wrong use: exit 2 and one sentence', async () => {
  const file = join(folder, 'typo.yaml');
  writeFileSync(file, 'limits:\n  drivr: window\n');
  const { code, out, err } = await gatewrit(['check', '--config', file]);
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /did you mean "driver"/);
});

test('keys init makes what is missing, 0600 in a 0700 folder, and never writes over a key', async () => {
  const at = join(folder, 'keys-home');
  assert.equal((await gatewrit(['keys', 'list', '--home', at])).code, 1);
  const first = await gatewrit(['keys', 'init', '--home', at, '--json']);
  assert.equal(first.code, 0);
  const files = readdirSync(join(at, 'keys'));
  assert.equal(files.length, 7);
  assert.equal(statSync(join(at, 'keys')).mode & 0o777, 0o700);
  const before = new Map(files.map((file) => [file, readFileSync(join(at, 'keys', file), 'utf8')]));
  for (const file of files) assert.equal(statSync(join(at, 'keys', file)).mode & 0o777, 0o600, file);
  rmSync(join(at, 'keys/approval-mac.jwks'));
  const again = await gatewrit(['keys', 'init', '--home', at]);
  assert.match(again.out, /approval-mac +made/);
  for (const [file, text] of before)
    if (file !== 'approval-mac.jwks') assert.equal(readFileSync(join(at, 'keys', file), 'utf8'), text, file);
  for (const text of before.values()) {
    const [{ k, d }] = (JSON.parse(text) as { keys: [{ k?: string; d?: string }] }).keys;
    assert.equal(first.out.includes(k ?? d!), false, 'a key was printed');
  }
  assert.equal((await gatewrit(['keys', 'init', '--except', 'nothing'])).code, 2);
});

test('the hardened sample starts, and a renewed certificate is served without a restart', async () => {
  const file = join(folder, 'start.yaml');
  const text = readFileSync(config, 'utf8').replace('host: 0.0.0.0, port: 8443', 'host: 127.0.0.1, port: 0');
  // Nobody listens there: the log opens without its witness, and says so.
  const unwitnessed = text.replace('https://witness.example.org:7380', 'http://127.0.0.1:1');
  writeFileSync(
    file,
    unwitnessed.replace('port: 8444', 'port: 0').replace(/^( +)key: file.*$/m, '$&\n$1reloadSeconds: 1'),
  );
  const args = [join(root, 'bin/gatewrit.mjs'), 'start', '--json', '--config', file, '--home', home];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const ready = await Promise.race([ended, new Promise<Buffer>((resolve) => child.stdout.once('data', resolve))]);
    assert.ok(ready instanceof Buffer, log);
    assert.equal((JSON.parse(String(ready)) as { mcp: string }).mcp, 'https://mcp.example.com/mcp');
    await writePair('renewed.example.com');
    for (let i = 0; i < 600 && !log.includes('the certificate was replaced'); i++) await sleep(50);
    assert.match(log, /the certificate was replaced/);
    writeFileSync(join(etc, 'tls/chain.pem'), 'nothing');
    for (let i = 0; i < 600 && !log.includes('cannot be served'); i++) await sleep(50);
    assert.match(log, /the new certificate cannot be served; the old one stays/);
  } finally {
    child.kill('SIGTERM');
    await ended;
    await writePair('mcp.example.com');
  }
});

test('start refuses a sample secret with one sentence', async () => {
  const secret = join(etc, 'secrets/tickets');
  const real = readFileSync(secret);
  writeFileSync(secret, 'Bearer changeme');
  const { code, err } = await gatewrit(['start', '--config', config, '--home', home]);
  writeFileSync(secret, real);
  assert.equal(code, 2);
  assert.match(err, /secrets\/tickets holds no credential: it is a placeholder/);
  assert.equal(err.includes('changeme'), false);
});
