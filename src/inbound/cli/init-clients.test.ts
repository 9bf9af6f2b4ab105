import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readClientFile, serverNameOf } from './init-clients.ts';

const at = (file: string) => `/home/ada/.gatewrit/secrets/${file}`;
/** As clients write a variable in their settings. */
const variable = (name: string) => ['$', '{', name, '}'].join('');
const read = (value: unknown) => readClientFile(JSON.stringify(value), at);

test('Claude Desktop, Cursor, VS Code and a plain mcp.json are read, comments and all', () => {
  const entry = { command: 'node', args: ['server.js'] };
  const upstream = { stdio: { command: 'node', args: ['server.js'] } };
  for (const file of [
    { mcpServers: { notes: entry } },
    { servers: { notes: { type: 'stdio', ...entry } }, inputs: [] },
    { mcp: { servers: { notes: entry } } },
  ])
    assert.deepEqual(
      read(file).servers.map(({ name, upstream: at }) => [name, at]),
      [['notes', upstream]],
    );
  const commented = `\uFEFF{ // mine
    "servers": { /* one */ "notes": { "command": "node", "args": ["server.js", "http://x//y, ]"], }, },
  }`;
  assert.deepEqual(readClientFile(commented, at).servers[0]?.upstream, {
    stdio: { command: 'node', args: ['server.js', 'http://x//y, ]'] },
  });
});

test('a secret in clear leaves for a file of its own, and nothing else of the environment does', () => {
  const { servers } = read({
    mcpServers: {
      crm: {
        command: 'crm',
        env: { CRM_API_KEY: 'sk-very-secret', LANGUAGE: 'en', DATABASE_URL: 'postgres://u:p@h/d' },
      },
      far: { url: 'https://mcp.example.com/mcp', headers: { Authorization: 'Bearer very-secret' } },
    },
  });
  const text = JSON.stringify(servers.map(({ upstream, notes }) => [upstream, notes]));
  for (const secret of ['very-secret', 'u:p@h']) assert.ok(!text.includes(secret), secret);
  assert.deepEqual(servers[0]?.upstream, {
    stdio: {
      command: 'crm',
      args: [],
      env: {
        CRM_API_KEY: `file:${at('crm-CRM_API_KEY')}`,
        LANGUAGE: 'en',
        DATABASE_URL: `file:${at('crm-DATABASE_URL')}`,
      },
    },
  });
  assert.deepEqual(servers[1]?.upstream, {
    http: { url: 'https://mcp.example.com/mcp', authorization: `file:${at('far-authorization')}` },
  });
  assert.equal(servers[1]?.secrets.get('far-authorization'), 'Bearer very-secret');
});

test('variables of the client become variables of the gateway, and are named', () => {
  const { servers } = read({
    servers: {
      crm: {
        command: 'crm',
        env: { A_KEY: variable('env:CRM_KEY'), B: variable('input:crm-token'), C: variable('HOME') },
      },
    },
  });
  assert.deepEqual((servers[0]!.upstream as { stdio: { env: object } }).stdio.env, {
    A_KEY: 'env:CRM_KEY',
    B: 'env:CRM_TOKEN',
    C: 'env:HOME',
  });
  assert.match(servers[0]!.notes.join('\n'), /set CRM_KEY in the environment/);
});

test('what cannot be taken over is named with its reason, and takes nothing from the others', () => {
  const { servers, refused } = read({
    mcpServers: {
      'My Notes': { command: 'node' },
      my_notes: { command: 'node' },
      off: { command: 'x', disabled: true },
      keyed: { url: 'https://x.example/mcp', headers: { 'X-Api-Key': 'k' } },
      folder: { command: 'x', args: [`${variable('workspaceFolder')}/s.js`] },
      local: { url: 'file:///etc/passwd' },
      none: {},
      text: 'x',
    },
  });
  assert.deepEqual(
    servers.map(({ name, was }) => [name, was]),
    [['my-notes', 'My Notes']],
  );
  assert.deepEqual(
    refused.map(({ was, why }) => `${was}: ${why.split(';')[0]}`),
    [
      'my_notes: it would have the same name here as "My Notes": my-notes',
      'off: it is disabled in the file',
      'keyed: it wants the header X-Api-Key',
      `folder: its command line holds a variable of the client (${variable('workspaceFolder')})`,
      'local: its URL is not an http or https URL',
      'none: it has neither a command nor a URL',
      'text: its entry is no mapping',
    ],
  );
});

test('a package runner without a version is remarked, one with a version is not', () => {
  const notes = (arg: string) => read({ mcpServers: { x: { command: 'npx', args: ['-y', arg] } } }).servers[0]!.notes;
  assert.match(notes('@scope/server').join(), /whatever version is newest/);
  assert.deepEqual(notes('@scope/server@1.2.3'), []);
});

test('another file is refused with a sentence', () => {
  assert.throws(() => readClientFile('hello', at), { message: /not JSON/ });
  assert.throws(() => read({ servers: [] }), { message: /settings file of an MCP client/ });
  assert.throws(() => read(null), { message: /settings file of an MCP client/ });
  assert.deepEqual(['Ünïcode!', 'gatewrit', '--', 'a'.repeat(40)].map(serverNameOf), [
    'n-code',
    'server',
    'server',
    'a'.repeat(32),
  ]);
});
