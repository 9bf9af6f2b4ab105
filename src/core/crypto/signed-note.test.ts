import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { sha256 } from './digest.ts';
import { checkpointText, openNote, parseCheckpoint, parseVerifierLine, signNote, verifierLine } from './signed-note.ts';

const pair = generateKeyPairSync('ed25519');
const signer = { name: 'example.com/log', ...pair };
const checkpoint = { origin: 'dev/tenant/node-1', size: 42, root: sha256('root') };

test('a checkpoint comes back from its signed note through the printed verifier line', () => {
  const line = verifierLine(signer.name, pair.publicKey);
  const verifier = parseVerifierLine(line)!;
  const note = signNote(checkpointText(checkpoint), signer);
  const opened = openNote(note, [verifier])!;
  assert.equal(opened.unknown, 0);
  assert.deepEqual(parseCheckpoint(opened.text), checkpoint);
});

test('the known key of the Go checksum database reads and prints as it is published', () => {
  const line = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8';
  assert.equal(verifierLine('sum.golang.org', parseVerifierLine(line)!.publicKey), line);
});

test('any flipped bit of a signed checkpoint is refused', () => {
  const verifiers = [parseVerifierLine(verifierLine(signer.name, pair.publicKey))!];
  const note = Buffer.from(signNote(checkpointText(checkpoint), signer));
  for (let i = 0; i < note.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const bent = Buffer.from(note);
      bent[i] = bent[i]! ^ (1 << bit);
      const opened = openNote(bent.toString('latin1') === note.toString('latin1') ? '' : bent.toString(), verifiers);
      assert.equal(opened, null, `byte ${i} bit ${bit}`);
    }
  }
});

test('a line by an unknown key is counted and not trusted', () => {
  const other = generateKeyPairSync('ed25519');
  const stranger = { name: 'stranger', ...other };
  const verifiers = [parseVerifierLine(verifierLine(signer.name, pair.publicKey))!];
  const text = checkpointText(checkpoint);
  assert.equal(openNote(signNote(text, stranger), verifiers), null);
  const both = signNote(text, signer) + signNote(text, stranger).split('\n\n')[1]!;
  assert.equal(openNote(both, verifiers)?.unknown, 1);
});

test('a checkpoint has exactly three lines and one spelling', () => {
  const text = checkpointText(checkpoint);
  assert.equal(parseCheckpoint(`${text}extension\n`), null);
  assert.equal(parseCheckpoint(text.replace('42', '042')), null);
  assert.equal(parseCheckpoint(text.replace('42', '-1')), null);
  assert.equal(parseCheckpoint(text.slice(0, -1)), null);
});

test('the signature is plain Ed25519 over the text', () => {
  const key = createPrivateKey(pair.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  assert.equal(
    signNote('a\n', signer),
    signNote('a\n', { name: signer.name, privateKey: key, publicKey: createPublicKey(key) }),
  );
});
