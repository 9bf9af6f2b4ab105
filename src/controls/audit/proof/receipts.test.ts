import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { uuidv7 } from '../../../core/ids.ts';
import { openReceipt, Receipts } from './receipts.ts';

const key = randomBytes(32);
const receipts = new Receipts(key);

test('a receipt names index and record to who has the key, for every index a journal can reach', () => {
  for (const index of [0, 1, 255, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1]) {
    const id = uuidv7(1_790_000_000_000);
    const opened = openReceipt(key, receipts.text(index, id))!;
    assert.equal(opened.index, index);
    assert.ok(opened.fits(id));
    assert.ok(!opened.fits(uuidv7(1_790_000_000_000)), 'not of another record');
  }
});

test('receipts keep their form: those that callers hold are found again', () => {
  const known = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
  const text = new Receipts(known).text(123_456, '019ab3cd-1234-7abc-8def-0123456789ab');
  assert.equal(text, 'gwr1.nPZ1iLCt4y1wWjDsDM1J2A');
});

test('neighbours have nothing in common: who holds receipts counts no calls', () => {
  const made = Array.from({ length: 2_000 }, (_, i) => receipts.text(i, '01900000-0000-7000-8000-000000000000'));
  assert.equal(new Set(made).size, made.length);
  // With one fixed id only the index differs, by little: every character after the prefix must still vary.
  for (let at = 5; at < 26; at++) assert.ok(new Set(made.map((text) => text[at])).size > 30, `character ${at}`);
  assert.ok(made.every((text) => /^gwr1\.[A-Za-z0-9_-]{22}$/.test(text)));
});

test('a changed, guessed or foreign receipt fits no record', () => {
  const id = uuidv7(1_790_000_000_000);
  const text = receipts.text(7, id);
  const other = openReceipt(randomBytes(32), text)!;
  assert.ok(!(other.index === 7 && other.fits(id)));
  for (let at = 5; at < text.length; at++) {
    const changed = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
    const opened = openReceipt(key, changed);
    assert.ok(opened === null || !opened.fits(id), `changed at ${at}`);
  }
});

test('there is one spelling: other lengths, prefixes and last characters are no receipts', () => {
  const text = receipts.text(7, uuidv7(1_790_000_000_000));
  const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(text.at(-1)!);
  const twin = text.slice(0, -1) + 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[last ^ 1];
  for (const bad of ['', 'gwr1.', `${text}A`, text.slice(0, -1), text.toUpperCase(), `x${text}`, ` ${text}`, twin])
    assert.equal(openReceipt(key, bad), null, bad);
});
