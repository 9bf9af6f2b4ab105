import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Members } from './members.ts';

for (const count of [0, 1, 24, 25, 5_000]) {
  test(`${count} members are read as a Map of the same entries would be`, () => {
    const members = new Members();
    const map = new Map<string, { start: number; end: number }>();
    const bare = ({ start, end }: { start: number; end: number }) => ({ start, end });
    for (let i = 0; i < count; i++) {
      members.add(`name-${i}`, i, i + 1);
      map.set(`name-${i}`, { start: i, end: i + 1 });
    }
    assert.equal(members.size, map.size);
    assert.deepEqual([...members.keys()], [...map.keys()]);
    assert.deepEqual([...members.values()].map(bare), [...map.values()]);
    assert.deepEqual(
      [...members].map(([name, span]) => [name, bare(span)]),
      [...map],
    );
    const visited: string[] = [];
    members.forEach((span, name) => {
      visited.push(`${name} ${span.start}`);
    });
    assert.deepEqual(
      visited,
      [...map].map(([name, { start }]) => `${name} ${start}`),
    );
    for (const [name, span] of map) assert.deepEqual(bare(members.get(name)!), span);
    for (const name of ['', 'size', '__proto__', `name-${count}`]) {
      assert.equal(members.get(name), undefined);
      assert.equal(members.has(name), false);
    }
  });
}

test('asking each of very many members for its name takes no time worth mentioning', () => {
  const members = new Members();
  for (let i = 0; i < 100_000; i++) members.add(`name-${i}`, i, i + 1);
  const began = performance.now();
  for (let i = 0; i < 100_000; i++) assert.equal(members.get(`name-${i}`)!.start, i);
  assert.ok(performance.now() - began < 2_000);
});
