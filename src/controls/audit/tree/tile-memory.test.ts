import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { leafHash } from '../../../core/crypto/merkle.ts';
import { Placer, systemFiles } from '../journal/files.ts';
import { TileMemory } from './tile-memory.ts';
import { TiledTree } from './tree.ts';

describe('memory of tiles', () => {
  it('gives the same memory again, also when only its beginning was used', () => {
    const memory = new TileMemory();
    const first = memory.take(150_000);
    memory.give(first.subarray(0, 149_000));
    assert.equal(memory.take(149_500).buffer, first.buffer);
  });

  it('never gives two the same memory', () => {
    const memory = new TileMemory();
    assert.notEqual(memory.take(8_192).buffer, memory.take(8_192).buffer);
  });

  it('keeps no more than its bound', () => {
    const memory = new TileMemory(10_000);
    const [one, other] = [memory.take(8_192), memory.take(8_192)];
    memory.give(one);
    memory.give(other);
    assert.equal(memory.take(8_192).buffer, one.buffer);
    assert.notEqual(memory.take(8_192).buffer, other.buffer);
  });

  it('a tile that waits for the disk keeps its bytes while the tree grows on and other tiles are placed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatewrit-tiles-'));
    const placer = new Placer(systemFiles, folder);
    const tree = TiledTree.load({ folder: join(folder, 'tree'), origin: 'o', entries: true }, null);
    const expected = new Map<string, Buffer>();
    let leaf = 0;
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 300; i++) {
        const entry = Buffer.from(`entry ${leaf++} ${'x'.repeat(leaf % 700)}`);
        tree.append(leafHash(entry), entry);
      }
      const snapshot = tree.snapshot();
      for (const [path, bytes] of snapshot.files) expected.set(path, Buffer.from(bytes));
      // The tree does not wait for its snapshot.
      const more = Buffer.from(`entry ${leaf++}`);
      tree.append(leafHash(more), more);
      await placer.place(snapshot.files);
      tree.placed(snapshot);
    }
    for (const [path, bytes] of expected) assert.deepEqual(readFileSync(path), bytes, path);
  });
});
