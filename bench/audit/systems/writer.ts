import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { auditSettings, openAudit } from '../../../src/controls/audit/index.ts';
import { openSqliteStore } from '../../../src/core/store/sqlite.ts';
import { percentile } from '../../statistics.ts';
import { answerBench } from '../../systems/answering.ts';
import { Calls } from '../calls.ts';

/**
 * One log with its store, as a gateway has them; what is appended are intents, by the stage of the pipeline.
 *   node writer.ts HOME TENANTS CHECKPOINT_MS
 */
const [home = '', tenants = '1', checkpointMs = '500'] = process.argv.slice(2);

export interface Appended {
  readonly records: number;
  /** From the first append until the last record is durable, and until a signed checkpoint covers it. */
  readonly durableSeconds: number;
  readonly signedSeconds: number;
  /** ms from the moment a record was due until it is durable. */
  readonly ack: Percentiles;
  /** ms from the same moment until a signed checkpoint covers it (looked at every 5 ms). */
  readonly signed: Percentiles;
  /** ms from the moment it was due until it was handed to the log. */
  readonly lag: Percentiles;
  readonly bytes: number;
  readonly commits: number;
  /** Of the whole process so far. */
  readonly peakRssBytes: number;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

// As in bin/gatewrit.mjs.
setFlagsFromString('--no-allocation-site-pretenuring');
const fail = (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exit(3);
};
mkdirSync(join(home, 'store'), { recursive: true, mode: 0o700 });
const store = openSqliteStore({ path: join(home, 'store/gatewrit.db') });
const started = performance.now();
const audit = await openAudit({
  settings: auditSettings.parse({ checkpointMs: Number(checkpointMs) }),
  home,
  keys: { folder: join(home, 'keys'), generate: true },
  store,
  deployment: 'bench',
  replica: 'node-1',
  onFatal: fail,
});
const openedMs = performance.now() - started;
const calls = new Calls(Number(tenants));
const clock = () => ({ utc: Date.now(), mono: performance.now() });
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** Hands one record over. Resolves with its index in the journal once it is durable. */
async function append(): Promise<number> {
  const at = clock();
  const intent = await audit.stages.intent.run(calls.next(at), at);
  if ('index' in intent) return intent.index;
  throw new Error(`refused: ${JSON.stringify(intent)}`);
}

class Run {
  readonly #acks: number[] = [];
  readonly #signed: number[] = [];
  readonly #lags: number[] = [];
  /** Waiting for a checkpoint, from `#head` on: journal index and when it was due, in the order in which they became durable. */
  readonly #waiting: (readonly [number, number])[] = [];
  #head = 0;
  readonly #begun = now();
  readonly #before = audit.stats();
  readonly #poll = setInterval(() => this.#look(), 5);

  /** @param due ms of the monotonic clock */
  async one(due: number): Promise<void> {
    this.#lags.push(now() - due);
    const index = await append();
    this.#acks.push(now() - due);
    this.#waiting.push([index, due]);
  }

  #look(): void {
    const { signed } = audit.stats();
    const moment = now();
    for (; this.#head < this.#waiting.length; this.#head++) {
      const [index, due] = this.#waiting[this.#head]!;
      if (index >= signed) break;
      this.#signed.push(moment - due);
    }
  }

  /** @param sign false: the records are left unsigned */
  async end(sign = true): Promise<Appended> {
    const durable = now();
    if (sign) {
      while (this.#head < this.#waiting.length) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        this.#look();
      }
    }
    clearInterval(this.#poll);
    const { bytes, commits, index } = audit.stats();
    const of = (values: number[]) => {
      const sorted = Float64Array.from(values).sort();
      return { p50: percentile(sorted, 50), p99: percentile(sorted, 99) };
    };
    return {
      records: index - this.#before.index,
      durableSeconds: (durable - this.#begun) / 1e3,
      signedSeconds: (now() - this.#begun) / 1e3,
      ack: of(this.#acks),
      signed: of(this.#signed),
      lag: of(this.#lags),
      bytes: bytes - this.#before.bytes,
      commits: commits - this.#before.commits,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    };
  }
}

/** Arrivals that wait for nothing: what is late is late because of the log. */
async function openLoop(perSecond: number, seconds: number): Promise<Appended> {
  const run = new Run();
  const arrivals = join(import.meta.dirname, 'arrivals.ts');
  const child = spawn(process.execPath, [arrivals, String(perSecond), String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const all: Promise<void>[] = [];
  let rest: Buffer = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.length - (bytes.length % 8);
    for (let at = 0; at < whole; at += 8) all.push(run.one(bytes.readDoubleLE(at)));
    rest = bytes.subarray(whole);
  });
  await new Promise((resolve, reject) => child.stdout.once('end', resolve).once('error', reject));
  await Promise.all(all);
  return run.end();
}

/** `together` records under way all the time, for `seconds` or until there are `records`. */
async function closedLoop(question: ClosedLoop): Promise<Appended> {
  const { together, seconds = Number.POSITIVE_INFINITY, records = Number.POSITIVE_INFINITY, sign = true } = question;
  const run = new Run();
  const end = now() + seconds * 1e3;
  let left = records;
  const one = async () => {
    while (left-- > 0 && now() < end) await run.one(now());
  };
  await Promise.all(Array.from({ length: together }, one));
  return run.end(sign);
}

interface ClosedLoop {
  together: number;
  seconds?: number;
  records?: number;
  sign?: boolean;
}

answerBench(
  {},
  {
    opened: () => ({ openedMs, records: audit.stats().index }),
    openLoop: ({ perSecond, seconds }: { perSecond: number; seconds: number }) =>
      openLoop(perSecond, seconds).catch(fail),
    closedLoop: (question: ClosedLoop) => closedLoop(question).catch(fail),
    async close() {
      await audit.close();
      await store.close();
      return { records: audit.stats().index };
    },
  },
);
