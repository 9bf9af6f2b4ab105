import * as fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openAudit } from '../../src/controls/audit/audit.ts';
import { readyCall, runCall } from '../../src/controls/audit/audit-kit.test.ts';
import type { Files } from '../../src/controls/audit/journal/files.ts';
import { auditSettings } from '../../src/controls/audit/settings.ts';
import { openSqliteStore } from '../../src/core/store/sqlite.ts';

/**
 * A process that writes a log with all its might and is to be killed, or to meet faults: many callers at once, several
 * tenants, small segments, checkpoints all the time. Says `waiting`, opens the log when it reads a line, then says `ready
 * <ms it took>`, writes when it reads another one: a line `ack <index> <id>` for each record it was told is durable, and `done` at its end.
 */
export interface WriterOptions {
  readonly home: string;
  readonly callers: number;
  readonly tenants: number;
  /** Calls in all; null: until it is killed. */
  readonly calls: number | null;
  /** Where it kills itself. */
  readonly point: KillPoint | null;
  /** Default: signed all the time. */
  readonly checkpointMs?: number;
  /** Default: small. */
  readonly segmentBytes?: number;
}

/** Before, while or after the nth call of one function of the file system. */
export interface KillPoint {
  readonly name: KillPointName;
  readonly nth: number;
  readonly when: 'before' | 'during' | 'after';
}

const SYNC = [
  ...(['openSync', 'writeSync', 'fsyncSync', 'fdatasyncSync', 'ftruncateSync', 'closeSync'] as const),
  ...(['mkdirSync', 'renameSync', 'unlinkSync'] as const),
] as const;
const ASYNC = ['write', 'fdatasync', 'open', 'writeFile', 'rename', 'mkdir', 'fsync', 'close'] as const;
export const KILL_POINTS = [...SYNC, ...ASYNC] as const;
type KillPointName = (typeof KILL_POINTS)[number];

const die = () => process.kill(process.pid, 'SIGKILL');

function filesThatKill({ name, nth, when }: KillPoint): Files {
  const real = Reflect.get(fs, name) as (...args: unknown[]) => unknown;
  const isAsync = (ASYNC as readonly string[]).includes(name);
  let calls = 0;
  const killing = (...args: unknown[]): unknown => {
    if (++calls !== nth) return real(...args);
    if (when === 'before') die();
    const done = args.at(-1);
    if (isAsync && when === 'after') {
      const last = (...results: unknown[]) => {
        die();
        (done as (...values: unknown[]) => void)(...results);
      };
      return real(...args.slice(0, -1), last);
    }
    const result = real(...args);
    die();
    return result;
  };
  return { ...fs, [name]: killing };
}

async function write(options: WriterOptions): Promise<void> {
  const { home, callers, tenants, calls, point, checkpointMs = 15, segmentBytes = 64 * 1024 } = options;
  // Bytes of a pipe are written at once: what is told here was told before the process can be killed.
  const say = (line: string) => fs.writeSync(1, `${line}\n`);
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  say('waiting');
  await lines.next();
  const store = openSqliteStore({ path: join(home, 'store/gatewrit.db') });
  const started = performance.now();
  const audit = await openAudit({
    settings: auditSettings.parse({ checkpointMs, segmentBytes, reserveBytes: 64 * 1024 }),
    home,
    keys: { folder: join(home, 'keys'), generate: true },
    store,
    deployment: 'test',
    replica: 'node-1',
    onFatal(error) {
      say(`fatal ${error.message}`);
      process.exit(3);
    },
    ...(point ? { files: filesThatKill(point) } : {}),
  });
  say(`ready ${Math.round(performance.now() - started)}`);
  await lines.next();
  let left = calls ?? Number.POSITIVE_INFINITY;
  const caller = async (tenant: string) => {
    while (left-- > 0) {
      const now = { utc: Date.now(), mono: performance.now() };
      const call = readyCall(now, { tenant, argument: 'x'.repeat(left % 600) });
      try {
        await runCall(audit, call, now);
      } catch {
        // A refused call: its intent may be there all the same.
      }
      for (const placed of [call.intent, call.receipt]) if (placed) say(`ack ${placed.index} ${placed.id}`);
      if (!call.receipt) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, i) => caller(`tenant-${i % tenants}`)));
  await audit.close();
  await store.close();
  say('done');
  process.exit(0);
}

if (import.meta.main) {
  try {
    await write(JSON.parse(process.argv[2]!) as WriterOptions);
  } catch (error) {
    fs.writeSync(1, `ended ${(error as Error).message}\n`);
    process.exit(3);
  }
}
