import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { readSection } from '../../core/settings.ts';
import { falseCertificates, type MadeCertificate, madeCertificate } from './clients-kit.test.ts';
import { openTransport } from './index.ts';
import { transportSettings } from './settings.ts';

const home = mkdtempSync(join(tmpdir(), 'gatewrit-clients-'));
const closing: (() => void)[] = [() => rmSync(home, { recursive: true })];
after(() => {
  for (const close of closing) close();
});

let authority: MadeCertificate;
let leaf: MadeCertificate;
let good: MadeCertificate;
before(async () => {
  authority = await madeCertificate(null);
  leaf = await madeCertificate(authority, { subject: 'CN=localhost', use: 'serverAuth' });
  good = await madeCertificate(authority);
  writeFileSync(join(home, 'clients.pem'), authority.cert);
});

const open = (certificates: string, ca = 'clients.pem') =>
  openTransport({
    settings: readSection('transport', transportSettings, { clients: { certificates, ca } }),
    home,
    resources: { resource: () => null, hosts: () => [] },
  });

/** A listener as the product opens one; `ran` counts the requests that reached it. */
async function listener(certificates: 'required' | 'optional') {
  const transport = open(certificates);
  const ran: string[] = [];
  const server: Server = createServer(transport.serverOptions(pairOf(leaf)), (req, res) => {
    const socket = req.socket as TLSSocket;
    ran.push(socket.authorized ? 'proved' : 'nothing proved');
    res.end(ran.at(-1));
  });
  transport.harden(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { transport, server, ran, port: (server.address() as AddressInfo).port };
}
const pairOf = ({ cert, key }: MadeCertificate) => ({ certificate: cert, key });

/** One request, written before the handshake is over, so that it comes with the end of it. */
function ask(port: number, certificate: MadeCertificate | null, session?: Buffer) {
  return new Promise<{ said: string | null; session: Buffer | undefined; resumed: boolean }>((resolve) => {
    let text = '';
    let ticket: Buffer | undefined;
    let resumed = false;
    const shown = certificate ? { cert: certificate.cert, key: certificate.key } : {};
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, session, ...shown });
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    socket.on('secureConnect', () => (resumed = socket.isSessionReused()));
    socket.on('session', (made) => (ticket = made));
    socket.on('data', (chunk) => (text += chunk));
    socket.on('error', () => undefined); // an alert is one of the ways to say no
    socket.on('close', () => resolve({ said: text.split('\r\n\r\n')[1] || null, session: ticket, resumed }));
  });
}

test('required: nobody without a certificate of the authority is heard, and its clients are', async () => {
  const { port, ran } = await listener('required');
  assert.equal((await ask(port, good)).said, 'proved');
  assert.equal((await ask(port, await madeCertificate(authority, { use: null }))).said, 'proved');
  assert.equal((await ask(port, null)).said, null);
  for (const [why, certificate] of await falseCertificates(authority))
    assert.equal((await ask(port, certificate)).said, null, why);
  assert.deepEqual(ran, ['proved', 'proved']);
});

test('optional: no certificate proves nothing; a false one is cut before any request of it runs', async () => {
  const { port, ran } = await listener('optional');
  assert.equal((await ask(port, good)).said, 'proved');
  assert.equal((await ask(port, null)).said, 'nothing proved');
  for (const [why, certificate] of await falseCertificates(authority)) {
    for (let i = 0; i < 3; i++) assert.equal((await ask(port, certificate)).said, null, why);
  }
  assert.deepEqual(ran, ['proved', 'nothing proved']);
});

test('a session is never resumed: each connection has to present and prove its certificate again', async () => {
  const required = await listener('required');
  const first = await ask(required.port, good);
  assert.ok(first.session, 'there is a ticket to try');
  assert.deepEqual(pick(await ask(required.port, null, first.session)), { said: null, resumed: false });
  assert.deepEqual(pick(await ask(required.port, good, first.session)), { said: 'proved', resumed: false });

  const optional = await listener('optional');
  const { session } = await ask(optional.port, good);
  assert.deepEqual(pick(await ask(optional.port, null, session)), { said: 'nothing proved', resumed: false });
});
const pick = ({ said, resumed }: { said: string | null; resumed: boolean }) => ({ said, resumed });

test('after a change of the authority no certificate and no ticket of the old one is worth anything', async () => {
  const { transport, server, port } = await listener('required');
  const { session } = await ask(port, good);
  const next = await madeCertificate(null, { subject: 'CN=Clients, O=Next' });
  writeFileSync(join(home, 'clients.pem'), next.cert);
  try {
    server.setSecureContext(transport.serverOptions(pairOf(leaf)));
    for (const ticket of [undefined, session])
      for (const shown of [good, null]) assert.equal((await ask(port, shown, ticket)).said, null);
    assert.equal((await ask(port, await madeCertificate(next))).said, 'proved');
  } finally {
    writeFileSync(join(home, 'clients.pem'), authority.cert);
  }
});

test('a relative ca starts at the home, wherever the process was started, and is looked at with the leaf', () => {
  assert.notEqual(process.cwd(), home);
  assert.deepEqual(open('required').serverOptions(pairOf(leaf)).ca, [authority.cert.trim()]);
  assert.deepEqual(open('optional', join(home, 'clients.pem')).serverOptions(pairOf(leaf)).ca, [authority.cert.trim()]);
  const filesWith = (clients: object) =>
    openTransport({
      settings: readSection('transport', transportSettings, { tls: { certificate: '/c', key: 'file:/k' }, clients }),
      home,
      resources: { resource: () => null, hosts: () => [] },
    }).reload?.files;
  assert.deepEqual(filesWith({ certificates: 'required', ca: 'a.pem' }), ['/c', '/k', join(home, 'a.pem')]);
  assert.deepEqual(filesWith({ certificates: 'off', ca: 'a.pem' }), ['/c', '/k']);
});

test('a ca that is missing, empty or not all certificates stops the start', () => {
  const bad = {
    'empty.pem': '',
    'words.pem': 'no certificate\n',
    'cut.pem': authority.cert.slice(0, 300),
    'second-cut.pem': authority.cert + authority.cert.slice(0, 300),
    'second-damaged.pem': authority.cert + authority.cert.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
    'key.pem': authority.cert + authority.key,
  };
  for (const [file, text] of Object.entries(bad)) {
    writeFileSync(join(home, file), text);
    for (const certificates of ['required', 'optional'])
      assert.throws(
        () => open(certificates, file).serverOptions(pairOf(leaf)),
        /transport\.clients\.ca: .* must hold certificates in PEM and nothing else/,
        file,
      );
  }
  assert.throws(() => open('optional', 'none.pem').serverOptions(pairOf(leaf)), /none\.pem cannot be read/);
  writeFileSync(join(home, 'two.pem'), `# ours\n${authority.cert}\n# theirs\n${leaf.cert}`);
  assert.equal((open('optional', 'two.pem').serverOptions(pairOf(leaf)).ca as string[]).length, 2);
});
