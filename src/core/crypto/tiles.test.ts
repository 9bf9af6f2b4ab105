import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBundle, encodeBundle, parseTilePath, tilePath, tileWidthAt } from './tiles.ts';

test('paths are those of tlog-tiles', () => {
  assert.equal(tilePath({ level: 0, index: 1_234_067, width: 8 }), 'tile/0/x001/x234/067.p/8');
  assert.equal(tilePath({ level: 'entries', index: 0, width: 256 }), 'tile/entries/000');
  assert.equal(tilePath({ level: 3, index: 999, width: 256 }), 'tile/3/999');
  assert.equal(tilePath({ level: 1, index: 1000, width: 255 }), 'tile/1/x001/000.p/255');
});

test('a path has one spelling', () => {
  for (const name of [
    { level: 'entries', index: 123_456, width: 1 },
    { level: 12, index: 0, width: 256 },
  ] as const) {
    assert.deepEqual(parseTilePath(tilePath(name)), name);
  }
  for (const bad of [
    'tile/0/0',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/x000/001',
    'tile/00/001',
    'tile/0/001/',
    'tile/0/../001',
  ]) {
    assert.equal(parseTilePath(bad), null, bad);
  }
});

test('a bundle gives back its entries, and a cut one nothing', () => {
  const entries = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(65_535, 7)];
  const bundle = encodeBundle(entries);
  assert.deepEqual(decodeBundle(bundle), entries);
  assert.equal(decodeBundle(bundle.subarray(0, -1)), null);
  assert.throws(() => encodeBundle([Buffer.alloc(65_536)]), RangeError);
});

test('the width of a tile follows from the size of the tree', () => {
  assert.equal(tileWidthAt(70_000, 0, 273), 112);
  assert.equal(tileWidthAt(70_000, 1, 1), 17);
  assert.equal(tileWidthAt(70_000, 2, 0), 1);
  assert.equal(tileWidthAt(70_000, 0, 274), 0);
});
