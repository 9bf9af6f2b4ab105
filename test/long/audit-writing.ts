import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { openAudit } from '../../src/controls/audit/audit.ts';
import { parseEnvelope } from '../../src/controls/audit/format/envelope.ts';
import { listSegments, SegmentReader } from '../../src/controls/audit/format/segments.ts';
import { auditSettings } from '../../src/controls/audit/settings.ts';
import { readVerifiers, verifyLog } from '../../src/controls/audit/verifier/verify-log.ts';
import { openSqliteStore } from '../../src/core/store/sqlite.ts';
import type { WriterOptions } from './audit-writer.ts';

/** What a writer that is no more had said. */
export interface Said {
  /** Records it was told are durable: journal index → id. */
  readonly acknowledged: ReadonlyMap<number, string>;
  readonly lines: readonly string[];
}

export interface Writer {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  /** Resolves with everything it said when it has ended. */
  readonly said: Promise<Said>;
}

/** Starts a writer; `hears` is called with each line as it comes. It begins when a line is written to its stdin. */
export function startWriter(options: WriterOptions, hears: (line: string) => void): Writer {
  const program = join(import.meta.dirname, 'audit-writer.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_TEST_CONTEXT: '', UV_THREADPOOL_SIZE: '2' },
  });
  child.stdin.on('error', () => {
    // It was killed before it read anything.
  });
  const acknowledged = new Map<number, string>();
  const lines: string[] = [];
  const closed = new Promise((resolve) => child.once('close', resolve));
  const read = async (): Promise<Said> => {
    for await (const line of createInterface({ input: child.stdout })) {
      const match = /^ack ([0-9]+) ([0-9a-f-]{36})$/.exec(line);
      if (match) acknowledged.set(Number(match[1]), match[2]!);
      else lines.push(line);
      hears(line);
    }
    await closed;
    return { acknowledged, lines };
  };
  return { child, said: read() };
}

/** Ids of all records in the segments of a log, by journal index. */
export function recordIds(home: string): Map<number, string> {
  const folder = join(home, 'audit/node-1/segments');
  const ids = new Map<number, string>();
  for (const number of listSegments(folder).numbers) {
    const reader = new SegmentReader(folder, number);
    reader.header();
    for (let frame = reader.next(); frame; frame = reader.next())
      ids.set(frame.index, parseEnvelope(frame.envelope)!.id);
    reader.close();
  }
  return ids;
}

export interface Reopened {
  /** ms until the log took records again. */
  readonly openedMs: number;
  readonly records: number;
}

/** Opens the log without faults, closes it, verifies it, and looks for every acknowledged record. @throws when one is lost */
export async function reopen(home: string, acknowledged: ReadonlyMap<number, string>): Promise<Reopened> {
  const store = openSqliteStore({ path: join(home, 'store/gatewrit.db') });
  try {
    const started = performance.now();
    const audit = await openAudit({
      settings: auditSettings.parse({ checkpointMs: 60_000, reserveBytes: 64 * 1024 }),
      home,
      keys: { folder: join(home, 'keys'), generate: true },
      store,
      deployment: 'test',
      replica: 'node-1',
      onFatal: (error) => {
        throw error;
      },
    });
    const openedMs = performance.now() - started;
    await audit.record({ kind: 'settings', tenant: 'tenant-0', meta: { after: 'start' } });
    await audit.close();
    const there = recordIds(home);
    for (const [index, id] of acknowledged) assert.equal(there.get(index), id, `acknowledged record ${index} is lost`);
    const keys = readVerifiers(join(home, 'keys/audit.pub'));
    const findings = (await verifyLog(join(home, 'audit'), keys)).flatMap((report) => report.findings);
    assert.deepEqual(findings, []);
    assert.equal(existsSync(join(home, 'audit')), true);
    return { openedMs, records: there.size };
  } finally {
    await store.close();
  }
}

/** mulberry32: the same numbers in [0, 1) for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
