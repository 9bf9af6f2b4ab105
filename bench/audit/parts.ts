import { mkdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { auditSettings } from '../../src/controls/audit/index.ts';
import { Child } from '../child.ts';
import type { Options } from './options.ts';
import type { Verified } from './systems/verifier.ts';
import type { Appended } from './systems/writer.ts';

export interface WriterCell extends Appended {
  /** Records a second; 0: as many as it takes. */
  readonly perSecond: number;
  readonly tenants: number;
  readonly round: number;
  /** User and system time of the writer, all threads, trees and checkpoints included. */
  readonly cpuMicrosPerRecord: number;
  /** Cores used meanwhile by everything else on this machine, arrivals of the open loop included. */
  readonly otherCores: number;
}

export interface VerifyCell extends Verified {
  readonly asked: number;
  readonly round: number;
}

export interface RecoveryCell {
  readonly tail: number;
  readonly round: number;
  readonly openedMs: number;
  /** Records found: the tail, and what the log says of itself. */
  readonly found: number;
}

export interface Bench {
  readonly options: Options;
  /** A folder on a real disk, which the bench removes. */
  readonly folder: string;
  readonly problems: string[];
  readonly say: (text: string) => void;
}

/** Records under way all the time when the rate is what is asked: twice a full group. */
const TOGETHER = 1_024;
/** As a gateway signs that is not told otherwise. */
const SIGNED_MS = auditSettings.parse({}).checkpointMs;

export const RATES = [1_000, 5_000] as const;
export const TENANTS = [1, 16] as const;
const LONG_MS = 900_000;
/** A tail that no checkpoint covers. */
const NEVER_MS = 60_000;

let homes = 0;

function newHome({ folder }: Bench): string {
  const home = join(folder, `home-${homes++}`);
  mkdirSync(home, { mode: 0o700 });
  return home;
}

function startWriter(home: string, tenants: number, checkpointMs: number): Promise<Child> {
  return Child.start('the writer', 'writer', [home, String(tenants), String(checkpointMs)], null, import.meta.dirname);
}

/** The whole log, as it stands, must be good. */
async function verify(home: string): Promise<Verified> {
  const args = [join(home, 'audit'), join(home, 'keys/audit.pub')];
  const child = await Child.start('the verifier', 'verifier', args, null, import.meta.dirname);
  try {
    return await child.ask<Verified>({ ask: 'verify' }, LONG_MS);
  } finally {
    await child.stop();
  }
}

function note({ problems }: Bench, where: string, verified: Verified, expected: number): void {
  if (verified.finding !== null) problems.push(`${where}: the log does not verify: ${verified.finding}`);
  if (verified.records !== expected)
    problems.push(`${where}: ${expected} records were acknowledged, the log has ${verified.records}`);
}

/** One log under load, in a process and a home of its own, verified afterwards. `perSecond` 0: closed loop. */
export async function writerCell(bench: Bench, perSecond: number, tenants: number, round: number): Promise<WriterCell> {
  const { seconds, warmUpSeconds } = bench.options;
  const where = `${perSecond === 0 ? 'closed loop' : `${perSecond}/s`}, ${tenants} tenants, round ${round + 1}`;
  bench.say(where);
  const home = newHome(bench);
  const writer = await startWriter(home, tenants, SIGNED_MS);
  try {
    const load = (length: number) =>
      writer.ask<Appended>(
        perSecond === 0
          ? { ask: 'closedLoop', together: TOGETHER, seconds: length }
          : { ask: 'openLoop', perSecond, seconds: length },
        LONG_MS,
      );
    await load(warmUpSeconds);
    const [usage, machine, begun] = [await writer.usage(), busyMicros(), performance.now()];
    const appended = await load(seconds);
    const passed = (performance.now() - begun) * 1e3;
    const used = (await writer.usage()).cpuMicros - usage.cpuMicros;
    const others = Math.max(0, busyMicros() - machine - used) / passed;
    const { records } = await writer.ask<{ records: number }>({ ask: 'close' }, LONG_MS);
    note(bench, where, await verify(home), records);
    return { ...appended, perSecond, tenants, round, cpuMicrosPerRecord: used / appended.records, otherCores: others };
  } finally {
    await writer.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/** Logs of several sizes, each written once and verified in every round by a process of its own. */
export async function verifyCells(bench: Bench): Promise<VerifyCell[]> {
  const cells: VerifyCell[] = [];
  for (const asked of bench.options.logs) {
    bench.say(`writing ${asked.toLocaleString('en')} records to be verified`);
    const home = newHome(bench);
    const records = await writeLog(home, asked, true);
    for (let round = 0; round < bench.options.rounds; round++) {
      const verified = await verify(home);
      note(bench, `verifying ${asked}`, verified, records);
      cells.push({ ...verified, asked, round });
    }
    rmSync(home, { recursive: true, force: true });
  }
  return cells;
}

/** Logs whose writer was killed before anything was signed, opened again and again. */
export async function recoveryCells(bench: Bench): Promise<RecoveryCell[]> {
  const cells: RecoveryCell[] = [];
  for (const tail of bench.options.tails) {
    bench.say(`writing ${tail.toLocaleString('en')} records that nobody signs`);
    const home = newHome(bench);
    await writeLog(home, tail, false);
    for (let round = 0; round < bench.options.rounds; round++) {
      const again = await startWriter(home, 1, NEVER_MS);
      const { openedMs, records } = await again.ask<{ openedMs: number; records: number }>({ ask: 'opened' });
      if (records < tail) bench.problems.push(`recovery of ${tail}: ${records} records were found`);
      cells.push({ tail, round, openedMs, found: records });
      // Killed again before it signs: the next round finds the same tail.
      process.kill(again.pid, 'SIGKILL');
      await again.stop();
    }
    const last = await startWriter(home, 1, NEVER_MS);
    const { records } = await last.ask<{ records: number }>({ ask: 'close' }, LONG_MS);
    await last.stop();
    note(bench, `recovery of ${tail}`, await verify(home), records);
    rmSync(home, { recursive: true, force: true });
  }
  return cells;
}

/** @returns how many records the log has. Unsigned: the writer is killed */
async function writeLog(home: string, records: number, sign: boolean): Promise<number> {
  const writer = await startWriter(home, 4, sign ? SIGNED_MS : NEVER_MS);
  await writer.ask<Appended>({ ask: 'closedLoop', together: TOGETHER, records, sign }, LONG_MS);
  if (sign) {
    const closed = await writer.ask<{ records: number }>({ ask: 'close' }, LONG_MS);
    await writer.stop();
    return closed.records;
  }
  process.kill(writer.pid, 'SIGKILL');
  await writer.stop();
  return records;
}

/** Busy time of all cores, whoever used them. */
function busyMicros(): number {
  return os.cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) * 1000, 0);
}
