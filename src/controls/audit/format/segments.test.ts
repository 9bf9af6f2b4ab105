import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../../core/crypto/jcs.ts';
import { frameLength, writeFrame } from './frame.ts';
import { encodeHeader, SegmentReader, SegmentWindow, segmentName } from './segments.ts';

const runs = 60 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const tag = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const headers = fc.record({ segment: fc.nat(), first: fc.maxSafeNat(), trees: fc.dictionary(tag, fc.maxSafeNat()) });

function frameOf(index: number, length: number): Buffer {
  const source = {
    envelopeLength: 2,
    partLengths: [length],
    writeInto: (into: Buffer, at: number) => void into.fill(0x47, at, at + 2 + length),
  };
  const bytes = Buffer.alloc(frameLength(source));
  writeFrame(bytes, 0, index, Buffer.alloc(16, 7), source);
  return bytes;
}

test('the header is canonical JSON', () => {
  fc.assert(
    fc.property(headers, (header) => {
      assert.equal(encodeHeader(header).subarray(16).toString(), canonicalJson({ v: 1, ...header }));
    }),
    { numRuns: runs },
  );
});

test('a segment reads the same in windows of any size, and a frame behind damage is found wherever it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(60), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 90 }),
      (parts, step) => {
        const head = encodeHeader({ segment: 1, first: 0, trees: {} });
        const bytes = Buffer.concat([head, ...parts.map((length, i) => frameOf(i, length)), Buffer.from('GWRx')]);
        const window = new SegmentWindow();
        let at = 0;
        const more = () => {
          if (window.wanted === 0 || at >= bytes.length) return false;
          window.feed(Buffer.from(bytes.subarray(at, at + step)));
          at += step;
          return true;
        };
        let header = window.header();
        while (!header && more()) header = window.header();
        assert.deepEqual(header?.bytes, head);
        const found: number[] = [];
        for (;;) {
          const frame = window.next();
          if (frame) found.push(frame.index);
          else if (!more()) break;
        }
        assert.deepEqual(found, [...parts.keys()]);
        assert.equal(window.offset, bytes.length - 4);
      },
    ),
    { numRuns: runs },
  );
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-segments-'));
  for (const gap of [1, 3, 4, 11, 1024 * 1024 - 2, 1024 * 1024]) {
    const bytes = Buffer.concat([encodeHeader({ segment: 1, first: 0, trees: {} }), Buffer.alloc(gap), frameOf(0, 9)]);
    writeFileSync(join(folder, segmentName(1)), bytes);
    const reader = new SegmentReader(folder, 1);
    assert.ok(reader.header());
    assert.equal(reader.next(), null);
    assert.ok(reader.findLater(), `behind ${gap} bytes`);
    reader.close();
  }
  rmSync(folder, { recursive: true });
});
