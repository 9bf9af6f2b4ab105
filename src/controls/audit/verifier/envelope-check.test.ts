import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Envelope, envelopeText, PART_NAMES, parseEnvelope, RECORD_KINDS } from '../format/envelope.ts';
import { checkEnvelope } from './envelope-check.ts';

const runs = 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const word = fc.oneof(fc.base64String({ minLength: 1 }), fc.uuid(), fc.string(), fc.constant('A'.repeat(43)));
const count = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.maxSafeInteger());
const part = fc.record({
  alg: word,
  commit: word,
  ct_len: count,
  ct_sha256: fc.constantFrom('A'.repeat(43), '_-'.repeat(21).padEnd(43, 'x'), 'short'),
  kid: word,
  name: fc.constantFrom(...PART_NAMES),
});
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  id: word,
  kind: fc.constantFrom(...RECORD_KINDS),
  parts: fc.array(part, { maxLength: 3 }),
  refs: fc.array(count, { maxLength: 3 }),
  t_ms: count,
  v: fc.constantFrom(1, 2),
});
const slow = (bytes: Buffer) => {
  const envelope = parseEnvelope(bytes);
  return envelope && envelopeText(envelope) === bytes.toString('latin1') ? envelope : null;
};

test('the quick reading of an envelope takes what the thorough one takes, and reads the same in it', () => {
  let taken = 0;
  const agree = (bytes: Buffer) => {
    const [quick, thorough] = [checkEnvelope(bytes), slow(bytes)];
    assert.equal(quick === null, thorough === null, bytes.toString());
    if (!quick || !thorough) return;
    taken++;
    assert.deepEqual([quick.kind, quick.t_ms, [...quick.refs]], [thorough.kind, thorough.t_ms, thorough.refs]);
    const of = (list: typeof quick.parts) => list.map(({ ct_len, ct_sha256, name }) => ({ ct_len, ct_sha256, name }));
    assert.deepEqual(of(quick.parts), of(thorough.parts));
  };
  fc.assert(
    fc.property(
      envelopes,
      fc.nat(),
      fc.nat(255),
      fc.constantFrom('0', ' ', '00', ',', '"', '\\u0061'),
      (e, at, byte, put) => {
        const bytes = Buffer.from(envelopeText(e));
        agree(bytes);
        const bent = Buffer.from(bytes);
        bent[at % bent.length] = byte;
        agree(bent);
        const cut = at % bytes.length;
        agree(Buffer.concat([bytes.subarray(0, cut), Buffer.from(put), bytes.subarray(cut)]));
      },
    ),
    { numRuns: runs },
  );
  assert.ok(taken > runs / 10);
});
