import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { InternalError } from '../../../core/internal-error.ts';
import type { Audit } from '../audit.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { encodeHeader, SegmentReader, segmentName } from '../format/segments.ts';
import { tenantTag } from '../keys/keyring.ts';

const tag = tenantTag('test', 'victim').toString('hex');
let log: Fixture;
beforeEach(() => {
  log = fixture();
});
afterEach(() => log.remove());

const call = (audit: Audit) => runCall(audit, readyCall({ ...log.clock }, { tenant: 'victim' }), { ...log.clock });
const tree = () => join(log.home, 'audit/node-1/trees', tag);

/** Four calls of a tenant, then a start without any: the last segment is nothing but a header. */
async function begun(): Promise<void> {
  const audit = await log.open();
  for (let i = 0; i < 4; i++) await call(audit);
  await audit.close();
  await (await log.open()).close();
}

/** No key signs the header of a segment: who can write to the folder can write a header with any checksum. */
function forget(tags: readonly string[], first?: number): void {
  const segments = join(log.home, 'audit/node-1/segments');
  const number = readdirSync(segments).length;
  const reader = new SegmentReader(segments, number);
  const { header } = reader.header()!;
  reader.close();
  const trees = Object.fromEntries(Object.entries(header.trees).filter(([name]) => !tags.includes(name)));
  writeFileSync(join(segments, segmentName(number)), encodeHeader({ ...header, first: first ?? header.first, trees }));
}

test('a tree that a forged header and a removed folder make forgotten is not begun a second time', async () => {
  await begun();
  forget([tag]);
  rmSync(tree(), { recursive: true });
  await assert.rejects(log.open(), (error) => error instanceof InternalError && error.code === 'audit.rolled_back');
  assert.ok(!existsSync(tree()));
});

test('a header that forgets a tree and claims fewer records does not open a log', async () => {
  await begun();
  forget([tag], 0);
  await assert.rejects(log.open(), (error) => error instanceof InternalError && error.code === 'audit.corrupt');
});

test('a tree that begins where another was published is not signed: there never are two histories under our signature', async () => {
  await begun();
  // All that is left of it is the second copy of its last checkpoint: of the tree, not of the journal.
  const row = await log.store.get('audit_checkpoints', 'journal/node-1', log.clock.utc);
  await log.store.delete('audit_checkpoints', 'journal/node-1', { expect: row!.version });
  rmSync(join(log.home, 'audit'), { recursive: true });
  const audit = await log.open();
  await call(audit);
  await audit.checkpoint();
  assert.equal((log.fatal[0] as InternalError | undefined)?.code, 'audit.forked');
  assert.ok(!existsSync(join(tree(), 'checkpoint')));
  await audit.close();
});
