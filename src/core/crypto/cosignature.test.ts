import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { cosign, openCosigned, parseWitnessLine, witnessLine } from './cosignature.ts';
import { sha256 } from './digest.ts';
import { checkpointText, parseVerifierLine, signNote, verifierLine } from './signed-note.ts';

const log = { name: 'dev', ...generateKeyPairSync('ed25519') };
const witness = { name: 'witness.example.com/w1', ...generateKeyPairSync('ed25519') };
const verifiers = [parseVerifierLine(verifierLine(log.name, log.publicKey))!];
const witnesses = [parseWitnessLine(witnessLine(witness.name, witness.publicKey))!];
const text = checkpointText({ origin: 'dev/journal/node-1', size: 42, root: sha256('root') });
const note = signNote(text, log);

test('a cosigned checkpoint says which witness saw it, and when', () => {
  const opened = openCosigned(note + cosign(text, witness, 1_679_315_147), verifiers, witnesses)!;
  assert.equal(opened.text, text);
  assert.deepEqual(opened.cosignedBy, [{ name: witness.name, time: 1_679_315_147 }]);
  assert.equal(opened.unknown, 0);
});

test('the signed message and the layout of the line are those of the specification', () => {
  const line = cosign(text, witness, 7);
  const blob = Buffer.from(line.split(' ')[2]!, 'base64');
  const key = witness.publicKey.export({ format: 'der', type: 'spki' }).subarray(12);
  const keyId = sha256(Buffer.concat([Buffer.from(`${witness.name}\n\x04`), key])).subarray(0, 4);
  assert.equal(blob.length, 4 + 8 + 64);
  assert.deepEqual(blob.subarray(0, 4), keyId);
  assert.equal(blob.readBigUInt64BE(4), 7n);
  const signed = sign(null, Buffer.from(`cosignature/v1\ntime 7\n${text}`), witness.privateKey);
  assert.deepEqual(blob.subarray(12), signed);
});

test('any flipped bit of a cosignature is refused, or leaves it without effect', () => {
  const cosigned = Buffer.from(note + cosign(text, witness, 1_679_315_147));
  for (let i = note.length; i < cosigned.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const bent = Buffer.from(cosigned);
      bent[i] = bent[i]! ^ (1 << bit);
      const opened = openCosigned(bent.toString(), verifiers, witnesses);
      assert.ok(opened === null || opened.cosignedBy.length === 0, `byte ${i} bit ${bit}`);
    }
  }
});

test('a witness alone vouches for nothing: the key of the log must have signed too', () => {
  assert.equal(openCosigned(`${text}\n${cosign(text, witness, 1)}`, verifiers, witnesses), null);
});

test('the key of a log is no witness and the key of a witness is no log, with the same bytes', () => {
  assert.equal(parseWitnessLine(verifierLine(log.name, log.publicKey)), null);
  assert.equal(parseVerifierLine(witnessLine(log.name, log.publicKey)), null);
  const both = note + cosign(text, log, 1);
  const opened = openCosigned(both, verifiers, [parseWitnessLine(witnessLine(log.name, log.publicKey))!])!;
  assert.deepEqual(opened.cosignedBy, [{ name: 'dev', time: 1 }]);
});

test('a witness nobody gave is counted and not believed', () => {
  const opened = openCosigned(note + cosign(text, witness, 1), verifiers, [])!;
  assert.deepEqual(opened.cosignedBy, []);
  assert.equal(opened.unknown, 1);
});

test('a note with more lines than anybody needs is not read', () => {
  const many = Array.from({ length: 100 }, () => cosign(text, witness, 1)).join('');
  assert.equal(openCosigned(note + many, verifiers, witnesses), null);
});
