import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../examples/quickstart/tour/gateway.ts';
import { Quickstart, READ } from '../e2e/quickstart.ts';
import { recordsOf } from '../e2e/recorded.ts';

/**
 * A real gateway whose home is a small file system of its own that becomes full, and one whose disk answers that it is
 * read-only (by way of strace: a file system with open files is not made read-only by a remount).
 */
const isRoot = process.getuid?.() === 0;
const MIB = 1024 * 1024;

/** A file system of its own, made and taken away by the test. */
const FILE_SYSTEMS = {
  tmpfs(folder: string) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', folder]);
  },
  ext4(folder: string) {
    const image = `${folder}.image`;
    execFileSync('truncate', ['-s', '64M', image]);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
    execFileSync('mount', ['-o', 'loop', image, folder]);
  },
} as const;

const isServed = (answer: Answer) => answer.status === 200 && answer.json.result?.['isError'] !== true;

async function start(settings: object) {
  const quickstart = await Quickstart.start({ settings: { audit: { checkpointMs: 100, ...settings } } });
  const token = await quickstart.token('alice', READ);
  const call = () => quickstart.gateway.call('readonly__jira_search', { jql: 'whiteboard' }, token);
  return { quickstart, call };
}

/** Calls are refused, with the words of the audit log; nothing else than a refusal is given. */
async function refusals(call: () => Promise<Answer>): Promise<void> {
  let unavailable = 0;
  for (const end = Date.now() + 4_000; Date.now() < end; await sleep(20)) {
    const answer = await call();
    if (answer.text.includes('"AUDIT_UNAVAILABLE"')) unavailable++;
    else if (unavailable > 0) assert.match(answer.text, /OUTCOME_UNKNOWN/, 'once refused, always refused');
  }
  assert.ok(unavailable > 20);
}

async function comesBack(call: () => Promise<Answer>): Promise<void> {
  for (let tries = 0; !isServed(await call()); tries++) {
    assert.ok(tries < 200, 'it does not come back by itself');
    await sleep(50);
  }
}

async function saidAndVerified(quickstart: Quickstart, reason: string): Promise<void> {
  const { gateway } = quickstart;
  assert.equal(await gateway.stop(), 0, 'the same process all the time');
  const { code, stdout } = await gateway.run('audit', 'verify', join(gateway.home, 'audit'));
  assert.equal(code, 0, stdout);
  const notes = (await recordsOf(gateway.home)).filter(({ envelope }) => /^(full|recovery)$/.test(envelope.kind));
  assert.ok(notes.some(({ envelope, meta }) => envelope.kind === 'recovery' && meta?.['reason'] === reason));
  const intents = new Map<string, boolean>();
  for (const { envelope, origin, leaf } of await recordsOf(gateway.home)) {
    if (envelope.kind === 'intent') intents.set(`${origin} ${leaf}`, false);
    if (envelope.kind === 'outcome') for (const ref of envelope.refs) intents.set(`${origin} ${ref}`, true);
  }
  assert.ok([...intents.values()].filter((ended) => !ended).length <= 1, 'only the call that ran then has no outcome');
}

for (const [name, mount] of Object.entries(FILE_SYSTEMS)) {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-disk-'));
  let missing = isRoot ? null : 'file systems are mounted by root alone';
  if (!missing) {
    try {
      mount(folder);
    } catch (error) {
      missing = String((error as Error).message).split('\n', 1)[0]!;
    }
  }
  if (missing) {
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${folder}.image`, { force: true });
  }
  if (missing) process.stdout.write(`\n!!! a full disk (${name}) is NOT SHOWN: ${missing}\n\n`);

  test(`a full disk (${name}): calls are refused, and when there is room again they are served without a restart`, {
    skip: missing ?? false,
  }, async () => {
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = folder;
    let quickstart: Quickstart | null = null;
    try {
      const started = await start({});
      ({ quickstart } = started);
      const { call } = started;
      assert.ok(isServed(await call()));
      for (let round = 0; round < 2; round++) {
        const ballast = join(folder, 'ballast');
        fill(ballast, folder);
        await refusals(call);
        rmSync(ballast);
        await comesBack(call);
      }
      await saidAndVerified(quickstart, 'the disk is full');
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      await quickstart?.close();
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true, force: true });
      rmSync(`${folder}.image`, { force: true });
    }
  });
}

/** To the last byte: whoever frees some finds them taken by the gateway's own files first. */
function fill(path: string, folder: string): void {
  const fd = openSync(path, 'w');
  try {
    for (const block of [MIB, 4_096, 1]) {
      const bytes = Buffer.alloc(block, 1);
      for (let written = 1; written > 0; ) {
        try {
          written = writeSync(fd, bytes);
        } catch {
          // Full for blocks of this size.
          written = 0;
        }
      }
    }
  } finally {
    closeSync(fd);
  }
  assert.ok(statfsSync(folder).bavail * statfsSync(folder).bsize < MIB);
  assert.throws(() => appendFileSync(path, Buffer.alloc(MIB)));
}

const noStrace = spawnSync('strace', ['-V']).status === 0 ? null : 'strace is not installed';
if (noStrace) process.stdout.write(`\n!!! a read-only disk is NOT SHOWN: ${noStrace}\n\n`);

test('a disk that has become read-only: calls are refused, and served again when it can be written', {
  skip: noStrace ?? false,
}, async () => {
  const { quickstart, call } = await start({});
  try {
    assert.ok(isServed(await call()));
    const inject = 'inject=pwrite64:error=EROFS';
    const args = ['-f', '-p', String(quickstart.gateway.ready.pid), '-o', '/dev/null'];
    const tracer = spawn('strace', [...args, '-e', 'trace=pwrite64', '-e', inject], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const traced = once(tracer, 'close');
    await once(tracer.stderr, 'data');
    await refusals(call);
    tracer.kill('SIGTERM');
    await traced;
    await comesBack(call);
    await saidAndVerified(quickstart, 'the disk is read-only');
  } finally {
    await quickstart.close();
  }
});
