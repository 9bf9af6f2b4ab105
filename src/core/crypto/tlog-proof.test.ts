import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseTlogProof, splitTlogProofs, type TlogProof, tlogProofText } from './tlog-proof.ts';

const numRuns = 200 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const bytes = fc.uint8Array({ maxLength: 80 }).map((one) => Buffer.from(one));
const note = fc.tuple(bytes, fc.nat(), hash).map(([name, size, root]) => {
  const origin = `log/${name.toString('hex')}`;
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n\n\u2014 ${origin} AAAAAAA=\n`;
});
const proof: fc.Arbitrary<TlogProof> = fc.record({
  extra: fc.option(bytes),
  index: fc.maxSafeNat(),
  path: fc.array(hash, { maxLength: 53 }),
  checkpoint: note,
});

test('the example of the specification is read as its text says', () => {
  const text = [
    'c2sp.org/tlog-proof@v1',
    'extra YWdlLXYxLjIuMQ==',
    'index 73894',
    'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=',
    'B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=',
    '',
    'example.com/fancylog',
    '109482',
    'sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=',
    '',
    '\u2014 example.com/fancylog hI2DJw==',
    '',
  ].join('\n');
  const read = parseTlogProof(text)!;
  assert.equal(read.index, 73_894);
  assert.equal(String(read.extra), 'age-v1.2.1');
  assert.equal(read.path.length, 2);
  assert.match(read.checkpoint, /^example\.com\/fancylog\n109482\n/);
  assert.equal(tlogProofText(read), text);
});

test('what was written is read again, alone or one behind the other, and written the same', () => {
  fc.assert(
    fc.property(fc.array(proof, { minLength: 1, maxLength: 4 }), (proofs) => {
      const texts = proofs.map(tlogProofText);
      assert.deepEqual(splitTlogProofs(texts.join('')), texts);
      for (const [i, one] of proofs.entries()) {
        const read = parseTlogProof(texts[i]!)!;
        assert.deepEqual([read.index, read.checkpoint], [one.index, one.checkpoint]);
        assert.deepEqual(
          read.path.map((node) => [...node]),
          one.path.map((node) => [...node]),
        );
        assert.deepEqual(read.extra && [...read.extra], one.extra && [...one.extra]);
      }
    }),
    { numRuns },
  );
});

test('there is one spelling: a text that is read is the text that would be written', () => {
  const change = fc.tuple(
    fc.nat(),
    fc.constantFrom('', '\n', ' ', '=', 'A', '0', 'extra ', '\r\n', '\u2014 x y\n'),
    fc.nat({ max: 3 }),
  );
  fc.assert(
    fc.property(proof, change, (one, [at, put, taken]) => {
      const text = tlogProofText(one);
      const place = at % text.length;
      const spoiled = text.slice(0, place) + put + text.slice(place + taken);
      const read = parseTlogProof(spoiled);
      if (read !== null) assert.equal(tlogProofText(read), spoiled);
    }),
    { numRuns: numRuns * 5 },
  );
});

test('another version, a short hash, a padded index, an endless path or no checkpoint is no proof', () => {
  const root = Buffer.alloc(32).toString('base64');
  const checkpoint = `o\n1\n${root}\n\n\u2014 o AAAAAAA=\n`;
  const head = 'c2sp.org/tlog-proof@v1\n';
  assert.ok(parseTlogProof(`${head}index 0\n\n${checkpoint}`));
  for (const bad of [
    '',
    head,
    `${head}index 0\n\n`,
    `c2sp.org/tlog-proof@v2\nindex 0\n\n${checkpoint}`,
    `${head}\n${checkpoint}`,
    `${head}index 00\n\n${checkpoint}`,
    `${head}index -1\n\n${checkpoint}`,
    `${head}index 9007199254740993\n\n${checkpoint}`,
    `${head}index 0\nextra AA==\n\n${checkpoint}`,
    `${head}extra A\nindex 0\n\n${checkpoint}`,
    `${head}index 0\nAAAA\n\n${checkpoint}`,
    `${head}index 0\n${`${root}\n`.repeat(54)}\n${checkpoint}`,
    `${head}index 0\n\n${checkpoint.trimEnd()}`,
  ])
    assert.equal(parseTlogProof(bad), null, JSON.stringify(bad));
});
