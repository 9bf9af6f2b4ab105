import assert from 'node:assert/strict';
import { cpSync, globSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { uuidv7 } from '../../../core/ids.ts';
import { memoryRows, openMemoryStore } from '../../../core/store/memory.ts';
import { type Audit, openAudit } from '../audit.ts';
import { settingsOf } from '../audit-kit.test.ts';
import { listSegments, SegmentReader } from '../format/segments.ts';

/** Salt at the beginning of each sealed part: with the long-lived key it makes the single-use key (core/crypto/envelope.ts). */
const SALT_BYTES = 24;

export interface SaltsSeen {
  readonly records: number;
  readonly parts: number;
  readonly salts: number;
  readonly segments: number;
  readonly starts: number;
  /** Journal indexes under which two different records were sealed, one of them torn off by a crash. */
  readonly reused: number;
}

/**
 * Writes `records` in rounds. Each ends in a crash that tears the tail off: the next start writes other records under the
 * same indexes. Every sealed part of every history is looked at; the same salt may only ever stand before the same bytes.
 */
export async function sealAndCollect(records: number, rounds: number): Promise<SaltsSeen> {
  const root = mkdtempSync(join(tmpdir(), 'gatewrit-salts-'));
  const salts = new Map<string, string>();
  const sealedAt = new Map<number, Set<string>>();
  let parts = 0;
  let written = 0;
  let rows = memoryRows();
  try {
    for (let round = 0; round < rounds; round++) {
      const [home, next] = [join(root, `${round}`), join(root, `${round + 1}`)];
      const crashed = { value: structuredClone(rows) };
      const audit = await open(home, rows);
      const share = Math.floor(records / rounds);
      written += await write(audit, share, round);
      await audit.checkpoint();
      crashed.value = structuredClone(rows);
      // What was signed stays; of what comes after, the crash leaves some whole frames and a torn one.
      written += await write(audit, 8, round);
      cpSync(home, next, { recursive: true });
      await audit.close();
      tear(join(next, 'audit/node-1/segments'));
      collect(home);
      rmSync(home, { recursive: true });
      rows = crashed.value;
    }
    const last = await open(join(root, `${rounds}`), rows);
    await last.close();
    collect(join(root, `${rounds}`));
    const segments = listSegments(join(root, `${rounds}`, 'audit/node-1/segments')).numbers.length;
    const reused = [...sealedAt.values()].filter((ids) => ids.size > 1).length;
    return { records: written, parts, salts: salts.size, segments, starts: rounds + 1, reused };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }

  function collect(home: string): void {
    const folder = join(home, 'audit/node-1/segments');
    for (const number of listSegments(folder).numbers) {
      const reader = new SegmentReader(folder, number);
      reader.header();
      for (let frame = reader.next(); frame; frame = reader.next()) {
        const at = sealedAt.get(frame.index) ?? new Set();
        sealedAt.set(frame.index, at.add(JSON.parse(frame.envelope.toString()).id));
        for (const part of frame.parts) {
          const salt = part.toString('latin1', 0, SALT_BYTES);
          const rest = part.toString('latin1', part.length - 16);
          const before = salts.get(salt);
          if (before === undefined) parts++;
          else assert.equal(before, rest, 'two parts were sealed with one salt');
          salts.set(salt, rest);
        }
      }
      reader.close();
    }
  }
}

function open(home: string, rows: ReturnType<typeof memoryRows>): Promise<Audit> {
  return openAudit({
    settings: settingsOf({ segmentBytes: 1_000_000 }),
    home,
    keys: { folder: join(home, 'keys'), generate: true },
    store: openMemoryStore(rows),
    deployment: 'test',
    replica: 'node-1',
    onFatal: (error) => assert.fail(error),
  });
}

async function write(audit: Audit, count: number, round: number): Promise<number> {
  for (let done = 0; done < count; ) {
    const group = Math.min(256, count - done);
    await Promise.all(
      Array.from({ length: group }, (_, i) =>
        audit.record({
          kind: 'operation',
          tenant: `tenant-${i % 5}`,
          subject: `subject-${i % 20}`,
          meta: { round, call: uuidv7(0) },
          // The same plaintext under the same keys again and again: only the salt differs.
          payload: Buffer.from('the same'),
        }),
      ),
    );
    done += group;
  }
  return count;
}

/** Cuts the newest segment inside its last frame. */
function tear(folder: string): void {
  const path = globSync('*.seg', { cwd: folder }).sort().at(-1)!;
  truncateSync(join(folder, path), statSync(join(folder, path)).size - 40);
}

test('no salt comes twice over restarts, segments and torn tails whose indexes are used again', async () => {
  const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
  const seen = await sealAndCollect(2_000 * scale, 4);
  assert.ok(seen.records >= 2_000 * scale && seen.parts > 2 * 2_000, JSON.stringify(seen));
  assert.equal(seen.salts, seen.parts);
  assert.equal(seen.starts, 5);
  assert.ok(seen.reused >= 4, `${seen.reused} indexes were sealed twice`);
});
