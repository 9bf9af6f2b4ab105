import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NO_CHALLENGE, readChallenge } from './challenge.ts';

describe('WWW-Authenticate', () => {
  const cases: Readonly<Record<string, Partial<ReturnType<typeof readChallenge>>>> = {
    'Bearer resource_metadata="https://a/b", scope="x y x"': { resourceMetadata: 'https://a/b', scopes: ['x', 'y'] },
    'Basic realm="a, Bearer b", Bearer error=insufficient_scope , scope="x"': {
      error: 'insufficient_scope',
      scopes: ['x'],
    },
    'Bearer error="a \\"quoted\\" word"': { error: 'a "quoted" word' },
    'bearer SCOPE = "x"': { scopes: ['x'] },
    'Bearer scope="first", scope="second"': { scopes: ['first'] },
    'Bearer realm="x", DPoP algs="ES256", resource_metadata="https://a"': {
      scheme: 'dpop',
      resourceMetadata: 'https://a',
    },
    'Negotiate YII=': {},
    'Bearer scope="not closed': {},
    'Bearer scope="with \\\\ backslash"': {},
    '': {},
  };
  for (const [header, expected] of Object.entries(cases))
    test(`${header || 'an empty header'}`, () =>
      assert.deepEqual(readChallenge(header), { ...NO_CHALLENGE, ...expected }));

  test('any header is read in bounded time and never throws', () => {
    const piece = fc.constantFrom('Bearer', 'DPoP', 'scope', '=', '"', '\\', ',', ' ', 'x', '\t', 'a="b"', '\u0000');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
        const { scheme, scopes } = readChallenge(pieces.join(''));
        assert.ok(scheme === 'bearer' || scheme === 'dpop');
        for (const scope of scopes ?? []) assert.match(scope, /^[\x21\x23-\x5b\x5d-\x7e]+$/);
      }),
      { numRuns: 500 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1) },
    );
    assert.deepEqual(readChallenge(`Bearer scope="${'x '.repeat(5000)}"`), NO_CHALLENGE);
  });

  test('what was written is read back', () => {
    const token = fc.stringMatching(/^[a-z_]{1,12}$/);
    const value = fc.string({ unit: fc.constantFrom(...' !#[]~azAZ09,="\\'), maxLength: 30 });
    fc.assert(
      fc.property(fc.uniqueArray(token, { maxLength: 5 }), value, (names, error) => {
        const others = names.filter((name) => name !== 'error').map((name) => `${name}="x"`);
        const quoted = error.replace(/["\\]/g, '\\$&');
        assert.equal(readChallenge(`Bearer ${[...others, `error="${quoted}"`].join(', ')}`).error, error);
      }),
      { numRuns: 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1) },
    );
  });
});
