import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { InternalError } from '../../../core/internal-error.ts';
import { Refusal } from '../../../core/stage.ts';
import type { Audit } from '../audit.ts';
import { type Fixture, fixture, readyCall } from '../audit-kit.test.ts';
import { LogReader } from '../reader/read.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';
import type { Files } from './files.ts';

const SYNC = ['openSync', 'writeSync', 'fsyncSync', 'fdatasyncSync', 'closeSync', 'mkdirSync', 'unlinkSync'] as const;
const ASYNC = ['write', 'fdatasync', 'open', 'writeFile', 'rename', 'mkdir', 'fsync', 'close'] as const;
const SYSCALLS: Readonly<Record<string, string>> = { writeFile: 'write' };

/** The real file system, in which the nth call of one function fails. */
function failing(name: (typeof SYNC)[number] | (typeof ASYNC)[number], nth: number, code: string): Files {
  const real = Reflect.get(fs, name) as (...args: unknown[]) => unknown;
  const syscall = SYSCALLS[name] ?? name.replace('Sync', '');
  let calls = 0;
  const one = (...args: unknown[]): unknown => {
    if (++calls !== nth) return real(...args);
    const fault = Object.assign(new Error(`${code}: injected`), { code, syscall });
    if ((SYNC as readonly string[]).includes(name)) throw fault;
    return setImmediate(args.at(-1) as (error: Error) => void, fault);
  };
  return { ...fs, [name]: one };
}

/** Calls of two tenants until the log takes no more; what was acknowledged. */
async function calls(audit: Audit, log: Fixture, acknowledged: Map<number, string>): Promise<void> {
  for (let i = 0; i < 6; i++) {
    const call = readyCall(log.clock, { tenant: `t${i % 2}`, argument: 'x'.repeat(30_000) });
    const intent = await audit.stages.intent.run(call, log.clock);
    if (intent instanceof Refusal) continue;
    acknowledged.set((intent as { index: number }).index, (intent as { id: string }).id);
    if (i % 2 === 1) await audit.checkpoint();
  }
}

const CODES = ['EIO', 'ENOSPC', 'EMFILE'] as const;
/** A fourth of all by default. */
const all = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1) > 1;
const CASES = [...SYNC, ...ASYNC]
  .flatMap((name) => [1, 4].flatMap((nth) => CODES.map((code) => ({ name, nth, code }))))
  .filter((_, i) => all || i % 4 === 0);

test('whichever function of the file system fails: the log goes on, or ends and says why, and the next start finds all that was acknowledged', async () => {
  let ended = 0;
  for (const { name, nth, code } of CASES) {
    const log = fixture();
    const what = `${name} ${nth} ${code}`;
    const acknowledged = new Map<number, string>();
    try {
      const audit = await log.open({ files: failing(name, nth, code) }, { segmentBytes: 64 * 1024 });
      await calls(audit, log, acknowledged);
      await audit.close().catch(() => {});
    } catch (error) {
      assert.ok(error instanceof InternalError && error.code.startsWith('audit.'), `${what}: ${error}`);
      assert.match(error.message, new RegExp(code), what);
      ended++;
    }
    await findsAll(log, acknowledged, what);
    log.remove();
  }
  assert.ok(ended > 2, `${ended} stopped the start`);
});

async function findsAll(log: Fixture, acknowledged: ReadonlyMap<number, string>, what: string): Promise<void> {
  const again = await log.open();
  await again.close();
  const keys = readVerifiers(join(log.home, 'keys/audit.pub'));
  const findings = (await verifyLog(join(log.home, 'audit'), keys)).flatMap((report) => report.findings);
  assert.deepEqual(findings, [], what);
  const folder = { folder: join(log.home, 'keys'), generate: false };
  const reader = await LogReader.open({ home: log.home, keys: folder, store: log.store, deployment: 'test' });
  const there = new Map((await reader.last(1_000)).map(({ index, envelope }) => [index, envelope.id]));
  for (const [index, id] of acknowledged) assert.equal(there.get(index), id, `${what}: record ${index}`);
}
