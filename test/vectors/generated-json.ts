import fc from 'fast-check';

/**
 * JSON texts nobody would write by hand: odd blanks, every way to escape, numbers in many lexemes. Keys of one object
 * differ after unescaping and none is a disguised envelope member.
 */
export const SCALE = Math.max(1, Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1));
export const SEED = Number(process.env['GATEWRIT_TEST_SEED'] ?? 20261122);

const blank = fc.array(fc.constantFrom(' ', '\n', '\t', '\r'), { maxLength: 2 }).map((list) => list.join(''));

const unicode = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'sql', 'x', '0', ' ', '/', ',', ':', '{', ']') },
  {
    weight: 3,
    arbitrary: fc.constantFrom('"', '\\', '\n', '\u0000', '\u001f', '\u007f', 'é', '\u2028', '😀', '\ufeff'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
);
export const plainText = fc.array(unicode, { maxLength: 6 }).map((list) => list.join('').toWellFormed());

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** One of the many lexemes of a string; `dice` chooses how each character is written. */
export function stringLexeme(text: string, dice: readonly number[]): string {
  let out = '"';
  let turn = 0;
  for (const char of text) {
    const die = dice[turn++ % dice.length] ?? 0;
    const mustEscape = char === '"' || char === '\\' || char < ' ';
    if (die === 0 && !mustEscape) out += char;
    else if (die === 1 && SHORT[char]) out += SHORT[char];
    else if (die <= 1 && !mustEscape) out += char;
    else {
      for (let i = 0; i < char.length; i++) {
        const hex = char.charCodeAt(i).toString(16).padStart(4, '0');
        out += `\\u${die % 2 === 0 ? hex : hex.toUpperCase()}`;
      }
    }
  }
  return `${out}"`;
}

const dice = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 });
const numberLexeme = fc.oneof(
  fc.constantFrom('0', '-0', '1', '1.0', '1e0', '1E+2', '-12.5e-3', '9007199254740993', '0.1', '1e308', '1e-400'),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);

interface Json {
  readonly text: string;
  /** Member texts, for objects: what an edit may take out. */
  readonly members?: readonly { readonly name: string; readonly value: Json }[];
}

const leaf: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom('true', 'false', 'null').map((text) => ({ text })),
  numberLexeme.map((text) => ({ text })),
  fc.tuple(plainText, dice).map(([text, way]) => ({ text: stringLexeme(text, way) })),
);

/** An object text over given member values. */
function objectOf(name: fc.Arbitrary<string>, value: fc.Arbitrary<Json>, maxLength = 4): fc.Arbitrary<Json> {
  const member = fc.record({ name, value, dice, pads: fc.tuple(blank, blank, blank, blank) });
  return fc.tuple(blank, fc.uniqueArray(member, { selector: (entry) => entry.name, maxLength })).map(([pad, list]) => ({
    text: `{${pad}${list.map((m) => `${m.pads[0]}${stringLexeme(m.name, m.dice)}${m.pads[1]}:${m.pads[2]}${m.value.text}${m.pads[3]}`).join(',')}}`,
    members: list.map((m) => ({ name: m.name, value: m.value })),
  }));
}

function arrayOf(value: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  return fc
    .tuple(blank, fc.array(fc.tuple(blank, value, blank), { maxLength: 4 }))
    .map(([pad, list]) => ({ text: `[${pad}${list.map(([a, v, b]) => a + v.text + b).join(',')}]` }));
}

export const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof({ maxDepth: 4, depthSize: 'small' }, leaf, objectOf(plainText, tie('value')), arrayOf(tie('value'))),
})).value;

export const jsonObject: fc.Arbitrary<Json> = objectOf(plainText, json, 5);
