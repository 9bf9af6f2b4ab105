import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeInReverse } from './closing.ts';

test('parts end in reverse, once, and one that fails keeps none of the others open', async () => {
  const ended: string[] = [];
  const parts = [
    () => void ended.push('audit'),
    () => {
      throw new Error('stuck');
    },
    async () => void ended.push('servers'),
  ];
  await assert.rejects(closeInReverse(parts), /stuck/);
  await closeInReverse(parts);
  assert.deepEqual(ended, ['servers', 'audit']);
});
