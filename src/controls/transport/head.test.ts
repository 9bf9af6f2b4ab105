import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BodyFault, Call, CallWith, WayIn } from '../../core/call.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import { openTransport } from './index.ts';
import { transportSettings, weakTransport } from './settings.ts';

const HOSTS = { public: ['localhost:8443', 'mcp.example.com'], admin: ['localhost:8444'] };
const served = new Set(['files', 'pg-readonly']);

function open(raw: unknown = {}) {
  return openTransport({
    settings: readSection('transport', transportSettings, raw),
    home: '/nowhere',
    resources: {
      resource: (listener, server) => {
        if (listener === 'admin') return 'https://localhost:8444';
        if (server === null) return 'https://localhost:8443/mcp';
        return served.has(server) ? `https://localhost:8443/mcp/${server}` : null;
      },
      hosts: (listener) => HOSTS[listener],
    },
  });
}

const GOOD: readonly (readonly [string, string])[] = [
  ['Host', 'localhost:8443'],
  ['Authorization', 'Bearer x'],
  ['Content-Type', 'application/json'],
  ['Accept', 'application/json, text/event-stream'],
  ['Content-Length', '10'],
  ['MCP-Protocol-Version', '2026-07-28'],
  ['Mcp-Method', 'tools/call'],
];

type Line = readonly [string, string];
interface Sent {
  method?: string;
  path?: string;
  way?: WayIn;
  version?: string;
  set?: Record<string, string | null>;
  add?: readonly Line[];
}

/** Headers as Node's parser hands them over: names in lower case, the first of a repeated one. */
function callOf({
  method = 'POST',
  path = '/mcp',
  way = 'http',
  version = '1.1',
  set = {},
  add = [],
}: Sent): CallWith<never> {
  const changed = new Map(Object.entries(set).map(([name, value]) => [name.toLowerCase(), value]));
  const kept = GOOD.filter(([name]) => !changed.has(name.toLowerCase()));
  const lines = [
    ...kept,
    ...[...changed].flatMap(([name, value]): Line[] => (value === null ? [] : [[name, value]])),
    ...add,
  ];
  const headers: Record<string, string> = {};
  for (const [name, value] of lines) headers[name.toLowerCase()] ??= value;
  const head = {
    version,
    method,
    path,
    query: '',
    headers,
    rawHeaders: lines.flat(),
    address: '127.0.0.1',
    certificate: null,
  };
  return { way, head } as unknown as Call;
}

const now = { utc: 0, mono: 0 };
const judge = (sent: Sent, transport = open()) => {
  const outcome = transport.stages.head.run(callOf(sent), now);
  return outcome instanceof Refusal ? outcome.code : 'passed';
};

test('the two forms of an endpoint are found, each one object with the resource it is', () => {
  const { head } = open().stages;
  assert.deepEqual(head.run(callOf({}), now), { server: null, resource: 'https://localhost:8443/mcp', admin: false });
  const files = head.run(callOf({ path: '/mcp/files' }), now);
  assert.deepEqual(files, { server: 'files', resource: 'https://localhost:8443/mcp/files', admin: false });
  assert.equal(head.run(callOf({ path: '/mcp/files' }), now), files);
});

test('no other spelling of a path names an endpoint', () => {
  const paths = [
    '',
    '/',
    '*',
    '/mcp/',
    '//mcp',
    '/MCP',
    '/Mcp',
    '/%6dcp',
    '/mcp/%66iles',
    '/./mcp',
    '/x/../mcp',
    '/mcp/.',
    '/mcp/..',
    '/mcp/files/',
    '/mcp//files',
    '/mcp/Files',
    '/mcp/FILES',
    '/mcp/unknown',
    '/mcp/files/../pg-readonly',
    '/mcp;x=1',
    '/mcp#',
    '/mcp/files%00',
    '/mcp/files\u0000',
    '/mcp/ files',
    '/mcp\\files',
    '/mcp.',
    '/sse',
    '/messages',
    '/mcp_message',
    '/ws',
    '/v0.1/servers',
    '/admin',
    '/metrics',
    '/debug',
    '/docs',
    `/mcp/${'a'.repeat(70)}`,
    'mcp',
    '/mcp/__proto__',
    '/mcp/constructor',
  ];
  for (const path of paths) assert.equal(judge({ path }), 'transport.path', path);
});

const BODILESS = { 'content-length': null, 'content-type': null, 'mcp-method': null, 'mcp-protocol-version': null };

test('only POST, and GET and DELETE of older revisions, reach an endpoint', () => {
  for (const method of ['PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'post', 'get', 'CONNECT', 'QUERY']) {
    for (const set of [{}, BODILESS]) assert.equal(judge({ method, set }), 'transport.method', method);
    assert.equal(judge({ method, path: '/mcp/' }), 'transport.path', method);
  }
  for (const method of ['GET', 'DELETE']) {
    assert.equal(judge({ method, path: '/mcp/', set: BODILESS }), 'transport.path', method);
    for (const version of [null, '2025-11-25', ' 2025-03-26'])
      assert.equal(
        judge({ method, set: { ...BODILESS, 'mcp-protocol-version': version } }),
        'passed',
        `${method} ${version}`,
      );
    // Whoever names a revision without sessions can only mean POST.
    for (const version of ['2026-07-28', ' 2026-07-28\t', '2031-01-01'])
      assert.equal(
        judge({ method, set: { ...BODILESS, 'mcp-protocol-version': version } }),
        'transport.method',
        `${method} ${version}`,
      );
  }
});

test('GET and DELETE bring no body, and GET wants events', () => {
  for (const method of ['GET', 'DELETE']) {
    assert.equal(judge({ method, set: { ...BODILESS, 'content-length': '0' } }), 'passed');
    for (const framed of [
      { 'content-length': '1' },
      { 'content-length': '00' },
      { 'transfer-encoding': 'chunked' },
      { expect: '100-continue' },
    ])
      assert.equal(judge({ method, set: { ...BODILESS, ...framed } }), 'transport.framing', JSON.stringify(framed));
  }
  for (const accept of [null, 'application/json', 'text/event-stream;q=0'])
    assert.equal(judge({ method: 'GET', set: { ...BODILESS, accept } }), 'transport.not_acceptable', String(accept));
  for (const accept of ['text/event-stream', 'text/*', '*/*'])
    assert.equal(judge({ method: 'GET', set: { ...BODILESS, accept } }), 'passed', accept);
  assert.equal(judge({ method: 'DELETE', set: { ...BODILESS, accept: null } }), 'passed');
});

test('a server that is served no longer has no endpoint any more', () => {
  const transport = open();
  assert.equal(judge({ path: '/mcp/files' }, transport), 'passed');
  served.delete('files');
  assert.equal(judge({ path: '/mcp/files' }, transport), 'transport.path');
  served.add('files');
});

test('exactly one Host, and one of ours', () => {
  for (const host of ['localhost:8443', 'LOCALHOST:8443', 'mcp.example.com'])
    assert.equal(judge({ set: { host } }), 'passed', host);
  for (const host of [
    'evil.example',
    '',
    'localhost',
    'localhost:8444',
    'mcp.example.com.',
    'mcp.example.com:443',
    'localhost:8443,evil',
    ' localhost:8443',
    'localhost:8443@evil.example',
    '127.0.0.1:8443',
  ]) {
    assert.equal(judge({ set: { host } }), 'transport.host', host);
  }
  assert.equal(judge({ set: { host: null } }), 'transport.host');
  assert.equal(judge({ add: [['host', 'localhost:8443']] }), 'transport.host');
  assert.equal(judge({ add: [['HOST', 'evil.example']] }), 'transport.host');
  assert.equal(judge({ set: { host: 'other.example:9' } }, open({ hosts: ['other.example:9'] })), 'passed');
});

test('a target in absolute form is served when its host is the Host header, and refused otherwise', () => {
  assert.equal(judge({ path: 'https://localhost:8443/mcp' }), 'passed');
  assert.equal(judge({ path: 'https://evil.example/mcp' }), 'transport.host');
  assert.equal(judge({ path: 'https://mcp.example.com/mcp' }), 'transport.host', 'ours, but not the one of the header');
  assert.equal(judge({ path: 'https://localhost:8443@evil.example/mcp' }), 'transport.host');
  assert.equal(judge({ path: 'https://localhost:8443' }), 'transport.path');
  assert.equal(judge({ path: 'ftp://localhost:8443/mcp' }), 'transport.path');
});

test('a foreign origin is refused whatever else is right; none, our own and listed ones pass', () => {
  for (const origin of [
    'https://evil.example',
    'null',
    '',
    'http://localhost:8443',
    'https://localhost:8443/',
    'https://localhost',
    'HTTPS://LOCALHOST:8443',
    'https://localhost:8443 https://evil.example',
  ]) {
    assert.equal(judge({ set: { origin } }), 'transport.origin', origin);
    assert.equal(judge({ set: { origin }, method: 'OPTIONS' }), 'transport.origin', `${origin} preflight`);
  }
  assert.equal(judge({ set: { origin: 'https://localhost:8443' } }), 'passed');
  assert.equal(judge({ set: { origin: 'https://app.example' } }, open({ origins: ['https://app.example'] })), 'passed');
  assert.equal(
    judge(
      { set: { origin: 'https://app.example' }, add: [['Origin', 'https://evil.example']] },
      open({ origins: ['https://app.example'] }),
    ),
    'transport.framing',
  );
});

test('JSON in UTF-8 without content coding, and nothing else, is a body', () => {
  for (const type of [
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'Application/JSON; charset="utf-8"',
  ]) {
    assert.equal(judge({ set: { 'content-type': type } }), 'passed', type);
  }
  for (const type of [
    'text/plain',
    'text/plain; application/json',
    '',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/json; charset=utf-8; x=y',
    'application/json, text/plain',
    'application/jsonx',
    'application/vnd.api+json',
    'application/json;',
  ]) {
    assert.equal(judge({ set: { 'content-type': type } }), 'transport.media_type', type);
  }
  assert.equal(judge({ set: { 'content-type': null } }), 'transport.media_type');
  for (const coding of ['gzip', 'br', 'identity, gzip', 'x'])
    assert.equal(judge({ set: { 'content-encoding': coding } }), 'transport.media_type', coding);
  assert.equal(judge({ set: { 'content-encoding': 'identity' } }), 'passed');
});

test('a caller must accept both forms of an answer', () => {
  for (const accept of [
    'application/json, text/event-stream',
    'text/event-stream,application/json',
    '*/*',
    'application/json;q=0.9, text/event-stream;q=0.8',
    'application/*, text/*',
    'text/html, */*;q=0.1',
  ]) {
    assert.equal(judge({ set: { accept } }), 'passed', accept);
  }
  for (const accept of [
    'application/json',
    'text/event-stream',
    '',
    'text/html',
    'application/json, text/event-stream;q=0',
    'application/json, text/event-streams',
  ]) {
    assert.equal(judge({ set: { accept } }), 'transport.not_acceptable', accept);
  }
  assert.equal(judge({ set: { accept: null } }), 'transport.not_acceptable');
});

test('one framing, a sane length, no Expect; a declared length above the bound is refused before authentication', () => {
  assert.equal(judge({ set: { 'content-length': '1048576' } }), 'passed');
  assert.equal(judge({ set: { 'content-length': '1048577', authorization: null } }), 'transport.too_large');
  assert.equal(judge({ set: { 'content-length': '99999999999999999999' } }), 'transport.framing');
  for (const length of ['-1', '+5', '0x10', '5 ', '1e3', '', '5,5'])
    assert.equal(judge({ set: { 'content-length': length } }), 'transport.framing', length);
  assert.equal(judge({ set: { 'content-length': null, 'transfer-encoding': 'chunked' } }), 'passed');
  assert.equal(judge({ set: { 'transfer-encoding': 'chunked' } }), 'transport.framing');
  for (const coding of ['gzip, chunked', 'identity', 'xchunked', 'chunked, chunked']) {
    assert.equal(judge({ set: { 'content-length': null, 'transfer-encoding': coding } }), 'transport.framing', coding);
  }
  assert.equal(judge({ set: { expect: '100-continue' } }), 'transport.framing');
});

test('HTTP/1.1 is spoken, and 1.0 without chunks, which it does not know', () => {
  const chunks = { 'content-length': null, 'transfer-encoding': 'chunked' };
  const admin = { way: 'admin', path: '/admin/v1/approvals/list', set: { host: 'localhost:8444', ...chunks } } as const;
  assert.equal(judge({ version: '1.0' }), 'passed');
  assert.equal(judge({ version: '1.0', set: chunks }), 'transport.framing');
  assert.deepEqual([judge(admin), judge({ ...admin, version: '1.0' })], ['passed', 'transport.framing']);
  for (const version of ['2.0', '0.9', '3.0', '1.2', ''])
    assert.equal(judge({ version }), 'transport.framing', version);
  const modern = { 'content-length': null, 'content-type': null, 'mcp-protocol-version': null };
  assert.equal(judge({ method: 'GET', version: '2.0', set: modern }), 'transport.framing');
});

test('a header that somebody decides by may not stand twice, in whatever case', () => {
  for (const name of [
    'Authorization',
    'Content-Type',
    'Content-Length',
    'MCP-Protocol-Version',
    'mcp-method',
    'MCP-METHOD',
  ]) {
    assert.equal(judge({ add: [[name, 'x']] }), 'transport.framing', name);
  }
  for (const name of [
    'Mcp-Name',
    'Mcp-Param-Region',
    'mcp-anything-new',
    'DPoP',
    'Cookie',
    'Transfer-Encoding',
    'Content-Encoding',
  ]) {
    assert.equal(
      judge({
        add: [
          [name, 'a'],
          [name.toUpperCase(), 'b'],
        ],
      }),
      'transport.framing',
      name,
    );
  }
  assert.equal(
    judge({
      add: [
        ['X-Forwarded-For', 'a'],
        ['X-Forwarded-For', 'b'],
        ['mcp', 'a'],
        ['mcp', 'b'],
      ],
    }),
    'passed',
  );
  assert.equal(
    judge({ add: Array.from({ length: 60 }, (_, i): Line => [`x-${i}`, '']) }),
    'transport.framing',
    'too many lines',
  );
});

test('the admin way checks who is spoken to and from where; its paths are its own table', () => {
  const admin = (sent: Sent) =>
    judge({ way: 'admin', method: 'GET', path: '/api/x', ...sent, set: { host: 'localhost:8444', ...sent.set } });
  assert.equal(admin({}), 'passed');
  assert.equal(admin({ set: { host: 'localhost:8443' } }), 'transport.host');
  assert.equal(admin({ set: { origin: 'https://evil.example' } }), 'transport.origin');
  assert.equal(admin({ set: { origin: 'https://localhost:8444' } }), 'passed');
  assert.equal(admin({ set: { 'content-length': '9999999' } }), 'transport.too_large');
  const endpoint = open().stages.head.run(callOf({ way: 'admin', set: { host: 'localhost:8444' } }), now);
  assert.deepEqual(endpoint, { server: null, resource: 'https://localhost:8444', admin: true });
});

test('ways in without an HTTP head of a stranger name their endpoint by path alone', () => {
  for (const way of ['stdio', 'harden'] as const) {
    assert.equal(judge({ way, set: { host: null } }), 'passed');
    assert.equal(judge({ way, path: '/mcp/unknown' }), 'transport.path');
  }
});

test('the body is asked for with the bounds of the settings, and each fault is a refusal', async () => {
  const { body } = open({ maxBodyBytes: 2_048, bodyTimeoutMs: 77 }).stages;
  const run = (read: (limit: object) => unknown) =>
    body.run({ source: { read } } as unknown as CallWith<'endpoint' | 'principal'>, now);
  const bytes = new Uint8Array(3);
  let asked: object | null = null;
  assert.equal(
    run((limit) => {
      asked = limit;
      return bytes;
    }),
    bytes,
    'a plain value, no promise',
  );
  assert.deepEqual(asked, { maxBytes: 2_048, timeoutMs: 77 });
  for (const fault of ['too_large', 'timeout', 'aborted'] satisfies BodyFault[]) {
    assert.equal((run(() => fault) as Refusal).code, `transport.${fault}`);
    assert.equal(((await run(() => Promise.resolve(fault))) as Refusal).code, `transport.${fault}`);
  }
});

test('strong is the default, and what is relaxed is named', () => {
  const read = (raw: unknown) => weakTransport(readSection('transport', transportSettings, raw));
  assert.deepEqual(read({}), []);
  assert.equal(
    read({ hstsMaxAgeSeconds: 0, origins: ['http://x'], maxBodyBytes: 99_999_999, bodyTimeoutMs: 200_000 }).length,
    4,
  );
  assert.throws(() => read({ origins: ['*'] }), /must be an origin/);
  assert.throws(() => read({ hosts: ['*'] }), /must be a lower-case host/);
  assert.throws(() => read({ clients: { certificates: 'required' } }), /transport\.clients\.ca/);
  assert.throws(() => read({ headersTimeoutMs: 60_000 }), /must not be above requestTimeoutMs/);
});
