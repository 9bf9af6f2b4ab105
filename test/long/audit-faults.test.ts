import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { reopen, startWriter } from './audit-writing.ts';
import { keepEvidence } from './evidence.ts';

/**
 * Every system call that has to do with files fails once, and from some moment on, in the whole writing process (its
 * store and its keys included): `strace` answers in the kernel's place. The writer goes on or ends; then it is started
 * without faults: nothing that was acknowledged is lost and the log verifies. Short writes are shown in
 * journal.test.ts: strace can only claim one without writing. `GATEWRIT_LONG_PARTS=fsync,rename` runs two lines of it.
 */
const MATRIX: Readonly<Record<string, readonly string[]>> = {
  openat: ['EMFILE', 'ENOSPC', 'EIO'],
  write: ['ENOSPC', 'EIO'],
  pwrite64: ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'],
  fsync: ['EIO', 'ENOSPC'],
  fdatasync: ['EIO', 'ENOSPC'],
  rename: ['EIO', 'ENOSPC'],
  mkdir: ['EIO', 'ENOSPC'],
  unlink: ['EIO', 'EROFS'],
  ftruncate: ['EIO'],
  close: ['EIO'],
  read: ['EIO'],
  pread64: ['EIO'],
  statx: ['EIO'],
  getdents64: ['EIO'],
};
const OCCURRENCES = process.env['GATEWRIT_LONG_FEW']
  ? ['1', '4+']
  : ['1', '2', '3', '4', '6', '10', '20', '40', '1+', '4+'];
const PATIENCE_MS = 20_000;

const wanted = process.env['GATEWRIT_LONG_PARTS']?.split(',') ?? Object.keys(MATRIX);
const missing = spawnSync('strace', ['-V']).status === 0 ? false : 'strace is not installed';
if (missing)
  process.stdout.write(`\n!!! ${missing}: faults of system calls are NOT SHOWN. apt-get install strace.\n\n`);

interface Seen {
  wentOn: number;
  ended: number;
  acknowledged: number;
  readonly causes: Record<string, number>;
}

/** `opening`: the fault is there when the log is opened; `writing`: once it is open. */
const PHASES = ['opening', 'writing'] as const;

/** One writer under one fault; then the log without it. */
async function one(phase: (typeof PHASES)[number], inject: string, seen: Seen): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-fault-'));
  const heard = new EventEmitter();
  const writer = startWriter({ home, callers: 8, tenants: 2, calls: 800, point: null }, (line) => {
    heard.emit(line.split(' ')[0]!);
  });
  await once(heard, 'waiting');
  if (phase === 'writing') {
    writer.child.stdin.write('open\n');
    await once(heard, 'ready');
  }
  const call = inject.split(':')[0]!;
  const args = [
    '-f',
    '-p',
    String(writer.child.pid),
    '-o',
    '/dev/null',
    '-e',
    `trace=${call}`,
    '-e',
    `inject=${inject}`,
  ];
  // The event loop wakes itself by writing, too: only files of the log are meant.
  const work = join(home, 'audit-work/node-1');
  const own = [...Array(12).keys()].map((n) => join(work, 'placing', `placing-${writer.child.pid}-${n}`));
  own.push(join(home, 'keys', `placing-${writer.child.pid}-0`));
  if (call === 'write') for (const path of [...own, join(work, 'reserve')]) args.push('-P', path);
  const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const traced = once(tracer, 'close');
  await once(tracer.stderr, 'data');
  writer.child.stdin.write('open\nwrite\n');
  let hung = false;
  const patience = setTimeout(() => {
    hung = true;
    writer.child.kill('SIGKILL');
  }, PATIENCE_MS);
  const { acknowledged, lines } = await writer.said;
  clearTimeout(patience);
  await traced;
  const end = lines.at(-1) ?? '';
  assert.ok(!hung, `${inject}: it neither goes on nor ends (${lines.join(' | ')})`);
  if (end === 'done') seen.wentOn++;
  else seen.ended++;
  const cause = end.replace(/\/[^ ,']+/g, '…').slice(0, 150);
  seen.causes[cause] = (seen.causes[cause] ?? 0) + 1;
  seen.acknowledged += acknowledged.size;
  await reopen(home, acknowledged).catch((error) => {
    throw new Error(`${inject}: ${lines.join(' | ')}; the log is kept in ${home}`, { cause: error });
  });
  rmSync(home, { recursive: true, force: true });
}

for (const call of wanted) {
  test(`a failing ${call} loses nothing that was acknowledged, whichever it is`, { skip: missing }, async () => {
    const seen: Seen = { wentOn: 0, ended: 0, acknowledged: 0, causes: {} };
    const wrong: string[] = [];
    let runs = 0;
    for (const error of MATRIX[call]!) {
      for (const phase of PHASES) {
        for (const when of OCCURRENCES) {
          runs++;
          await one(phase, `${call}:error=${error}:when=${when}`, seen).catch((cause: Error) => {
            wrong.push(`${phase}, ${cause.message}: ${(cause.cause as Error | undefined)?.message}`);
          });
        }
      }
    }
    process.stdout.write(`audit-faults: ${call} ${JSON.stringify(seen)}\n`);
    assert.deepEqual(wrong, []);
    keepEvidence(`audit-faults-${call}`, `${call} fails: nothing acknowledged is lost`, { runs, lost: 0, ...seen });
  });
}
