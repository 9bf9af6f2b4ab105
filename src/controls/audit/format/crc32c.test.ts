import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';

/** One bit at a time, as the polynomial is defined. */
function plain(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ -1) >>> 0;
}

test('the checksum is CRC-32C, wherever in memory the bytes begin and however many there are', () => {
  assert.equal(crc32c(Buffer.from('123456789'), 0, 9), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32), 0, 32), 0x8a9136aa);
  const memory = Buffer.from(Array.from({ length: 160 }, (_, i) => (i * 167 + 13) & 255));
  for (let shift = 0; shift < 4; shift++) {
    const bytes = memory.subarray(shift);
    for (let start = 0; start < 5; start++)
      for (let end = start; end < 100; end++)
        assert.equal(crc32c(bytes, start, end), plain(bytes.subarray(start, end)), `${shift}: ${start} to ${end}`);
  }
});
