import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfiguration } from '../../configuration.ts';
import { initCommand } from './init.ts';
import { registryCommand } from './registry.ts';
import { type Added, addServer } from './registry-add.ts';
import { openConfiguration } from './registry-write.ts';

const root = join(import.meta.dirname, '../../..');
const everything = join(root, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');

async function run(
  command: typeof initCommand,
  ...argv: string[]
): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const io = {
    stdout: (text: string) => {
      said.out += text;
    },
    stderr: (text: string) => {
      said.err += text;
    },
  };
  return { code: await command.run(argv, io), ...said };
}

function place() {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-init-'));
  const [home, config] = [join(folder, 'home'), join(folder, 'gatewrit.yaml')];
  return { folder, home, config, where: ['--home', home, '--config', config] };
}

test('settings and policy alone are written once, and what is there stays', async () => {
  const { home, config, where } = place();
  const first = await run(initCommand, ...where);
  assert.equal(first.code, 0);
  assert.match(first.out, /gatewrit\.yaml[\s\S]*Next: gatewrit registry add/);
  assert.deepEqual(readConfiguration(config).upstreams, {});
  writeFileSync(config, `# mine\n${readFileSync(config, 'utf8')}`);
  assert.match((await run(initCommand, ...where)).out, /there already/);
  assert.match(readFileSync(config, 'utf8'), /^# mine\n/);
  assert.ok(existsSync(join(home, 'policy', 'scopes.yaml')));
});

test("a client's servers are taken over: secrets leave, what cannot come is named, and the rest is signed", async () => {
  const { folder, home, config, where } = place();
  const from = join(folder, 'mcp.json');
  const good = { command: 'node', args: [everything, 'stdio'], env: { API_KEY: 'sk-very-secret' } };
  const gone = { command: join(folder, 'no-such-program') };
  writeFileSync(from, JSON.stringify({ mcpServers: { Everything: good, gone, off: { disabled: true } } }));
  const choice = ['--accept', '--set', 'everything/echo.effect=read', '--json'];
  const done = await run(initCommand, '--from', from, ...where, ...choice);
  assert.equal(done.code, 1, 'two of three did not come');
  assert.match(done.err, /off is not taken over: it is disabled/);
  assert.match(done.err, /gone is not taken over: .*ENOENT.*on your PATH\?/);
  const { servers, clients } = JSON.parse(done.out) as { servers: Added[]; clients: { client: string }[] };
  assert.deepEqual([servers.length, servers[0]?.accepted, clients.length], [1, true, 5]);
  assert.equal(servers[0]?.served.find(({ name }) => name === 'echo')?.effect, 'read');
  const text = readFileSync(config, 'utf8');
  assert.ok(!`${text}${done.out}${done.err}`.includes('very-secret'));
  assert.deepEqual(Object.keys(readConfiguration(config).upstreams), ['everything']);
  assert.equal(statSync(join(home, 'secrets', 'everything-API_KEY')).mode & 0o777, 0o600);
  assert.equal((await run(registryCommand, 'list', '--home', home)).code, 0);
  const rule = readFileSync(join(home, 'policy', '50-everything.cedar'), 'utf8');
  assert.match(rule, /resource in Server::"everything"/);
});

test('at a terminal nothing is signed before a yes, and changes are said in words', async () => {
  const { home, config } = place();
  const upstream = { stdio: { command: 'node', args: [everything, 'stdio'] } };
  const talk = async (...answers: string[]) => {
    let err = '';
    const io = {
      stdout() {},
      stderr: (text: string) => {
        err += text;
      },
    };
    const said = { home, server: 'everything', prefix: undefined, upstream, replace: false, accept: false };
    const more = { set: [], pass: [], owner: 'ada', json: true, ask: async () => answers.shift() ?? 'no' };
    const added = await addServer({ ...said, ...more, configuration: openConfiguration(config) }, io);
    return { added, err };
  };
  const no = await talk('eco.effect=read', 'no');
  assert.match(no.err, /did you mean "echo"/);
  assert.ok(!no.added.accepted && !existsSync(config) && !existsSync(home), 'nothing was written');
  const yes = await talk('*.effect=read', 'get-env.serve=no', 'yes');
  assert.ok(yes.added.accepted && yes.added.served.every(({ effect }) => effect === 'read'));
  assert.ok(yes.added.excluded.some(({ name }) => name === 'get-env'));
  const other = { stdio: { command: 'node', args: ['another.js'] } };
  const options = {
    ...{ home, server: 'everything', prefix: undefined, replace: false, accept: true },
    upstream: other,
  };
  await assert.rejects(
    addServer(
      {
        ...options,
        ...{ set: [], pass: [], owner: 'ada', json: true, ask: null },
        configuration: openConfiguration(config),
      },
      { stdout() {}, stderr() {} },
    ),
    /another upstream "everything".*--replace/,
  );
});

test('wrong use says what to do', async () => {
  const { folder, where } = place();
  await assert.rejects(run(initCommand, '--from', join(folder, 'none.json'), ...where), /does not exist/);
  await assert.rejects(
    run(registryCommand, 'add', 'notes', ...where),
    /say how to reach it: gatewrit registry add notes/,
  );
  const clear = ['add', 'https://x.test/mcp', '--authorization', 'Bearer secret'];
  await assert.rejects(run(registryCommand, ...clear, ...where), /never the credential itself/);
  await assert.rejects(run(registryCommand, 'add', 'X Y', '--command', 'node', ...where), /\[a-z0-9-\]/);
  assert.equal((await run(registryCommand, 'add', ...where)).code, 2);
  assert.match((await run(initCommand, '--help')).out, /example\n/);
  assert.match((await run(registryCommand, 'add', '--help')).out, /registry add everything/);
});
