import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AddressKind, addressKind, mayReach, REACHES } from './addresses.ts';

const KNOWN: Readonly<Record<AddressKind, readonly string[]>> = {
  loopback: ['127.0.0.1', '127.255.0.3', '::1', '[::1]', '::ffff:127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::'],
  private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fd12::1', '::ffff:10.1.2.3'],
  never: [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    'fd00:ec2::254',
    '0.0.0.0',
    '::',
    '224.0.0.1',
    '255.255.255.255',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    '2001:db8::1',
    'localhost',
    '',
  ],
  public: ['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '::1:0:0:1'],
};

for (const [kind, list] of Object.entries(KNOWN))
  test(`${kind}: ${list.join(' ')}`, () => {
    assert.deepEqual(
      list.filter((address) => addressKind(address) !== kind),
      [],
    );
  });

test('an IPv4 address is judged the same however it is wrapped in IPv6', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
      const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
      for (const wrapped of [`::ffff:${address}`, `::ffff:${groups}`, `64:ff9b::${groups}`, `2002:${groups}::`])
        assert.equal(addressKind(wrapped), addressKind(address), wrapped);
    }),
    { numRuns: 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1) },
  );
});

test('no reach includes what must never be asked', () => {
  for (const reach of REACHES) assert.equal(mayReach('never', reach), false);
  assert.deepEqual(
    REACHES.map((reach) => [mayReach('public', reach), mayReach('private', reach), mayReach('loopback', reach)]),
    [
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ],
  );
});
