import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LogReader, type OpenRecord } from '../../src/controls/audit/index.ts';
import { openSqliteStore } from '../../src/core/store/sqlite.ts';

/** Every record of a home's log, opened with its keys, oldest first. */
export async function recordsOf(home: string): Promise<OpenRecord[]> {
  const folder = join(home, 'keys');
  const deployment = readFileSync(join(folder, 'audit.pub'), 'utf8').split('+', 1)[0]!;
  const store = openSqliteStore({ path: join(home, 'store', 'gatewrit.db') });
  try {
    const reader = await LogReader.open({ home, keys: { folder, generate: false }, store, deployment });
    return await reader.last(Number.MAX_SAFE_INTEGER);
  } finally {
    await store.close();
  }
}

/** How calls ended, by code; '' for those that were answered. Refusals that share one record count as often as it says. */
export function endings(records: readonly OpenRecord[]): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (code: string, count: number) => counts.set(code, (counts.get(code) ?? 0) + count);
  for (const { envelope, meta } of records) {
    if (envelope.kind === 'outcome' || envelope.kind === 'refusal') add(String(meta?.['code'] ?? ''), 1);
    if (envelope.kind !== 'refusals') continue;
    for (const [code, count] of Object.entries(meta?.['codes'] as Record<string, number>)) add(code, count);
  }
  return counts;
}
