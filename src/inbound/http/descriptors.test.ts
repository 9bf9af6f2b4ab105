import assert from 'node:assert/strict';
import { test } from 'node:test';
import { affordable } from './descriptors.ts';

const limits = (files: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             9                    9                    processes \nMax open files            ${files}                 524288               files     \n`;

test('two listeners together take three quarters of the descriptors at most', () => {
  assert.equal(affordable(8_192, limits('1024')), 384);
  assert.equal(affordable(8_192, limits('524288')), 8_192);
  assert.equal(affordable(100, limits('1024')), 100);
});

test('where the limit is not known or there is none, the settings stand', () => {
  assert.equal(affordable(8_192, null), 8_192);
  assert.equal(affordable(8_192, limits('unlimited')), 8_192);
});
