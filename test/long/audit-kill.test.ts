import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KILL_POINTS, type KillPoint } from './audit-writer.ts';
import { randomOf, reopen, startWriter } from './audit-writing.ts';
import { keepEvidence } from './evidence.ts';

/**
 * 500 times `kill -9` in five parts (`GATEWRIT_LONG_PARTS=0,3` runs two of them; `GATEWRIT_LONG_SEED` repeats a run):
 * half at random instants, half before, during or after one call of the file system.
 */
const PARTS = 5;
const KILLS = Number(process.env['GATEWRIT_LONG_KILLS'] ?? 500) / PARTS;
const seed = Number(process.env['GATEWRIT_LONG_SEED'] ?? Date.now() % 1_000_000_007);
const wanted = process.env['GATEWRIT_LONG_PARTS']?.split(',').map(Number) ?? [...Array(PARTS).keys()];
/** A log is thrown away after so many kills, so that the last ones are as quick as the first. */
const KILLS_PER_LOG = 20;
const WORST_OPEN_MS = 5_000;

function pointOf(random: () => number): KillPoint {
  return {
    name: KILL_POINTS[Math.floor(random() * KILL_POINTS.length)]!,
    nth: Math.ceil(2 ** (random() * 7)),
    when: (['before', 'during', 'after'] as const)[Math.floor(random() * 3)]!,
  };
}

for (const part of wanted) {
  test(`part ${part}: ${KILLS} kills under load lose no acknowledged record, and the log is open again at once`, async () => {
    process.stdout.write(`audit-kill: part ${part}, seed ${seed}\n`);
    const random = randomOf(seed + part);
    const seen = { atPoints: 0, atInstants: 0, beforeOpen: 0, acknowledged: 0, worstOpenMs: 0, opened: 0 };
    let home = '';
    let known = new Map<number, string>();
    for (let kill = 0; kill < KILLS; kill++) {
      if (kill % KILLS_PER_LOG === 0) {
        if (home) rmSync(home, { recursive: true, force: true });
        home = mkdtempSync(join(tmpdir(), 'gatewrit-kill-'));
        known = new Map();
      }
      const point = kill % 2 === 0 ? pointOf(random) : null;
      const callers = 1 + Math.floor(random() * 60);
      const tenants = 1 + Math.floor(random() * 5);
      const afterMs = random() * 300;
      const opening = random() < 0.3;
      let timer: NodeJS.Timeout | undefined;
      let atInstant = false;
      const options = { home, callers, tenants, calls: null, point };
      const { child, said } = startWriter(options, (line) => {
        if (line === 'waiting') {
          child.stdin.write('open\nwrite\n');
          // Some are killed while they open the log; a point that is never met must not keep it alive.
          const waitMs = point ? 1_500 : opening ? afterMs / 3 : afterMs + 100;
          timer = setTimeout(() => {
            atInstant = true;
            child.kill('SIGKILL');
          }, waitMs);
        }
      });
      const { acknowledged, lines } = await said;
      const what = `seed ${seed}, part ${part}, kill ${kill}: ${JSON.stringify(options)}`;
      assert.equal(child.signalCode, 'SIGKILL', `${what} ended by itself: ${lines.join(' | ')}`);
      for (const [index, id] of acknowledged) known.set(index, id);
      seen.acknowledged += acknowledged.size;
      clearTimeout(timer);
      if (atInstant) seen.atInstants++;
      else seen.atPoints++;
      if (!lines.some((line) => line.startsWith('ready'))) seen.beforeOpen++;
      const { openedMs } = await reopen(home, known).catch((cause) => {
        throw new Error(`${what}; the log is kept`, { cause });
      });
      seen.opened++;
      seen.worstOpenMs = Math.max(seen.worstOpenMs, Math.round(openedMs));
    }
    rmSync(home, { recursive: true, force: true });
    process.stdout.write(`audit-kill: part ${part} ${JSON.stringify(seen)}\n`);
    assert.ok(seen.worstOpenMs <= WORST_OPEN_MS, `${seen.worstOpenMs} ms to open`);
    assert.ok(seen.acknowledged > KILLS, 'it was at work when it was killed');
    keepEvidence(`audit-kill-${part}`, 'kill -9 under load: no acknowledged record is lost', {
      ...{ seed, part, kills: KILLS, lost: 0 },
      ...seen,
    });
  });
}
