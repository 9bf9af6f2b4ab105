import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import * as values from '../../../test/redaction/values.ts';
import { scanDocument, survivingSecret } from './document.ts';
import { openTokeniser } from './token.ts';
import type { Treatment } from './treatment.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const seed = 20260728;
const tokeniser = openTokeniser([{ kid: 'test', secret: new Uint8Array(32).fill(7) }]);
const TREATMENT: Treatment = {
  rules: { phoneRegions: ['US'], keepPrivateAddresses: true, cutAllHiddenText: false },
  depth: () => 'whole',
  action: () => 'replaced',
  replacement: (found) => tokeniser.replacement(found, 'acme'),
};
const scan = (document: unknown) => {
  const scanned = scanDocument(Buffer.from(JSON.stringify(document)), TREATMENT);
  return { view: JSON.parse(Buffer.from(scanned.bytes).toString()), findings: scanned.findings };
};

test('hard negatives come back byte for byte', () => {
  const file = new URL('../../../test/redaction/hard-negatives.json', import.meta.url);
  const { documents } = JSON.parse(readFileSync(file, 'utf8')) as { documents: unknown[] };
  assert.ok(documents.length >= 30);
  for (const document of documents) {
    const bytes = Buffer.from(JSON.stringify(document));
    const scanned = scanDocument(bytes, TREATMENT);
    assert.equal(scanned.bytes, bytes, `${JSON.stringify(document)} ${JSON.stringify(scanned.findings)}`);
  }
});

test('no document is broken: what comes out parses, keeps its shape, and no secret survives', () => {
  const leaf = fc.oneof(
    { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
    {
      weight: 2,
      arbitrary: fc.oneof(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.maxSafeInteger(),
        fc.constant(null),
        fc.boolean(),
      ),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.string({ maxLength: 4 }), values.anyValue, fc.string({ maxLength: 4 }))
        .map((parts) => parts.join('')),
    },
    { weight: 1, arbitrary: values.card.map(Number) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(values.email, values.card)
        .map(([mail, card]) => JSON.stringify({ mail, list: [Number(card)] })),
    },
    { weight: 1, arbitrary: values.anyValue.map((value) => Buffer.from(`some text ${value} more`).toString('base64')) },
  );
  const name = fc.oneof(
    fc.string({ maxLength: 6 }),
    values.email,
    fc.constantFrom('phone', 'password', 'card', 'ssn', 'data', 'mimeType', 'token'),
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'tree' },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(name, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(tree, fc.boolean(), (document, spread) => {
      const bytes = Buffer.from(JSON.stringify(document, null, spread ? 2 : 0));
      const scanned = scanDocument(bytes, TREATMENT);
      if (scanned.findings.every((finding) => finding.action === 'reported')) {
        assert.equal(scanned.bytes, bytes);
        return;
      }
      const left = Buffer.from(scanned.bytes).toString();
      sameShape(JSON.parse(bytes.toString()), JSON.parse(left));
      assert.equal(survivingSecret(scanned, TREATMENT), null, left);
    }),
    { numRuns: 20_000 * scale, seed },
  );
});

/** Same containers, same member counts; leaves may have become strings. */
function sameShape(before: unknown, after: unknown): void {
  if (typeof before !== 'object' || before === null) {
    assert.ok(typeof after !== 'object' || after === null);
    return;
  }
  assert.equal(Array.isArray(before), Array.isArray(after));
  const [a, b] = [Object.values(before), Object.values(after as object)];
  assert.equal(a.length, b.length, JSON.stringify([before, after]));
  if (Array.isArray(before)) for (const [i, value] of a.entries()) sameShape(value, b[i]);
}

test('a card as a JSON number becomes the same token as in text, in any writing of the number', () => {
  const { view } = scan({ text: 'card 4111 1111 1111 1111', number: 4111111111111111 });
  assert.equal(view.text, `card ${view.number}`);
  const written = scanDocument(Buffer.from('{"n":4.111111111111111e15,"m":4111111111111111.0}'), TREATMENT);
  const { n, m } = JSON.parse(Buffer.from(written.bytes).toString());
  assert.equal(n, view.number);
  assert.equal(m, view.number);
});

test('both copies of a result are redacted alike: JSON in text, and values that only a name gives away', () => {
  const structured = {
    customer: { phone: '780 6326', ssn: 460899847, password: 'correct horse' },
    mail: 'jane@example.org',
    card: 4111111111111111,
  };
  const { view } = scan({
    content: [{ type: 'text', text: JSON.stringify(structured) }],
    structuredContent: structured,
  });
  assert.equal(view.content[0].text, JSON.stringify(view.structuredContent));
  assert.match(view.structuredContent.customer.ssn, /^\[US_SSN:[A-Z2-7]{16}\]$/);
  assert.equal(view.structuredContent.customer.password, '[GENERIC_SECRET removed]');
  const prose = scan({
    structuredContent: { phone: '780 6326', password: 'hunter2x' },
    content: [{ text: 'dial 780 6326 with hunter2x' }],
  });
  assert.equal(prose.view.content[0].text, `dial ${prose.view.structuredContent.phone} with [GENERIC_SECRET removed]`);
});

test('a password that one member names is gone from everywhere, whatever it is written with and whatever stands around it', () => {
  for (const password of [
    'aB3)xY7(kL9',
    'k9,Zz;41pQ',
    `it's "7" <up>`,
    'correct horse battery',
    'hunter2hunter',
    'ünï7wörd',
    '[x]7{y}',
  ])
    for (const around of ['use * now', '*', 'curl -u bob:* x', 'https://h/*/y', '(*)', '"*",', 'a\n*.', '*|*']) {
      const text = around.replaceAll('*', () => password);
      const { view } = scan({ structuredContent: { password }, content: [{ type: 'text', text }] });
      assert.ok(!view.content[0].text.includes(password), JSON.stringify(view));
    }
});

test('text that shows JSON is read behind its escapes too: in lines, behind a sentence, however deep it is nested', () => {
  const hidden = JSON.stringify({ mail: 'jane@example.org', key: 'AKIAIOSFODNN7EXAMPLE' })
    .replace('@', '\\u0040')
    .replace('AKIA', 'AK\\u0049A');
  for (const text of [`${hidden}\n${hidden}`, `Result: ${hidden}`, `${'['.repeat(300)}${hidden}${']'.repeat(300)}`]) {
    const left: string = scan({ text }).view.text;
    assert.doesNotMatch(left, /example\.org|OSFODNN/);
    if (text.startsWith('[')) assert.match(JSON.stringify(JSON.parse(left)), /"mail":"\[EMAIL:[A-Z2-7]{16}\]"/);
  }
});

test('a password is no longer word’s part: what only contains it stays', () => {
  const text = 'unhunter2hunter hunter2hunters londoner';
  for (const password of ['hunter2hunter', 'london'])
    assert.equal(scan({ structuredContent: { password }, content: [{ text }] }).view.content[0].text, text);
});

test('what one member names is gone from member names and numbers as well, and no path shows it', () => {
  const { view, findings } = scan({
    password: 'hunter2hunter',
    pin: { password: 839201847 },
    phone: '780 6326',
    used: { hunter2hunter: 'jane@example.org', 7806326: 1 },
    numbers: [839201847, '839201847', 839201848],
  });
  assert.deepEqual(Object.keys(view.used).sort(), [view.phone, '[GENERIC_SECRET removed]'].sort());
  assert.deepEqual(view.numbers, ['[GENERIC_SECRET removed]', '[GENERIC_SECRET removed]', 839201848]);
  assert.doesNotMatch(JSON.stringify(findings), /hunter2|7806326/);
});

test('a password that is a word of the protocol does not rename its members', () => {
  const { view } = scan({ content: [{ text: 'the content of it' }], structuredContent: { password: 'content' } });
  assert.deepEqual(Object.keys(view), ['content', 'structuredContent']);
  assert.equal(view.content[0].text, 'the [GENERIC_SECRET removed] of it');
});

test('member names are redacted, and two that become one token stay two members', () => {
  const { view, findings } = scan({ 'jane@example.org': 1, 'JANE@example.org': 2, plain: 3 });
  const names = Object.keys(view);
  assert.match(names[0]!, /^\[EMAIL:[A-Z2-7]{16}\]$/);
  assert.equal(names[1], `${names[0]}~2`);
  assert.deepEqual(Object.values(view), [1, 2, 3]);
  assert.doesNotMatch(JSON.stringify(findings), /example\.org/i);
});

test('images are not read as text, text that calls itself an image is, and base64 text stays base64', () => {
  const image = Buffer.from(Array.from({ length: 60 }, (_, i) => (i * 37) % 256)).toString('base64');
  const text = Buffer.from('this is no image but jane@example.org').toString('base64');
  const { view } = scan({
    content: [
      { type: 'image', mimeType: 'image/png', data: image },
      { type: 'image', data: text, mimeType: 'image/png' },
      { type: 'resource', resource: { uri: 'x:y', mimeType: 'text/plain', blob: text } },
    ],
  });
  assert.equal(view.content[0].data, image);
  for (const hidden of [view.content[1].data, view.content[2].resource.blob]) {
    assert.match(Buffer.from(hidden, 'base64').toString(), /^this is no image but \[EMAIL:[A-Z2-7]{16}\]$/);
  }
});

test('base64 is looked into behind an equals sign and on a line of its own; a token may follow an escape', () => {
  const hidden = Buffer.from('please write to jane.roe@example.org today').toString('base64');
  for (const text of [`x=${hidden}`, `https://h/x?d=${hidden}&y=1`, `begin\n${hidden}\nend`, `${hidden}\n${hidden}`]) {
    const left: string = scan({ text }).view.text;
    const runs = left.match(/[A-Za-z0-9+/]{24,}={0,2}/g)!.map((run) => Buffer.from(run, 'base64').toString());
    for (const run of runs) assert.match(run, /^please write to \[EMAIL:[A-Z2-7]{16}\] today/);
  }
  const { view } = scan({ text: 'shown as {"keys":"first\\nAKIAIOSFODNN7EXAMPLE"}' });
  assert.equal(view.text, 'shown as {"keys":"first\\n[VENDOR_TOKEN removed]"}');
});

test('a private key sent line by line is removed line by line', () => {
  const { view } = scan({
    lines: [
      '-----BEGIN PRIVATE KEY-----',
      'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC',
      'BKcwggSjAgEAAoIBAQ==',
      '-----END PRIVATE KEY-----',
      'after',
    ],
  });
  assert.deepEqual(view.lines, [...Array(4).fill('[PRIVATE_KEY removed]'), 'after']);
});

test('every key of a text that holds several is removed', () => {
  const putty = (body: string) =>
    `PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 1\nAAAAgQC7${body}\nPrivate-MAC: ${body.repeat(20)}\n`;
  const { view } = scan({ text: `first:\n${putty('ab')}then:\n${putty('cd')}end` });
  assert.equal(view.text, 'first:\n[PRIVATE_KEY removed]\nthen:\n[PRIVATE_KEY removed]\nend');
});

test('tag characters and terminal escapes are cut out, bidi and zero-width controls are reported, flags and joined emoji stay', () => {
  const text =
    'a\u{E0041}\u{E0042}b \u001b[31mred\u001b[0m \u202Ex\u202C z\u200Bz 🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} 👩‍💻';
  const { view, findings } = scan({ text });
  assert.equal(
    view.text,
    'ab red \u202Ex\u202C z\u200Bz 🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} 👩‍💻',
  );
  assert.deepEqual([...new Set(findings.map((finding) => `${finding.rule} ${finding.action}`))].sort(), [
    'hidden_text.ansi replaced',
    'hidden_text.bidi reported',
    'hidden_text.tags replaced',
    'hidden_text.zero_width reported',
  ]);
});

test('thousands of findings make a bounded report that still counts them', () => {
  const { findings } = scan(Array.from({ length: 1000 }, (_, i) => `u${i}@example.org`));
  assert.ok(findings.length <= 210);
  assert.equal(findings.at(-1)?.rule, 'and 800 more');
});

test('a text may hold any number of addresses: none is left, and the stack is not what counts them', () => {
  const count = 150_000;
  const { bytes, findings } = scanDocument(Buffer.from(JSON.stringify({ text: 'a@b.co '.repeat(count) })), TREATMENT);
  const text = Buffer.from(bytes).toString();
  assert.ok(!text.includes('a@b.co'));
  assert.equal(text.split('[EMAIL').length - 1, count, text.slice(0, 60));
  assert.ok(findings.length > 0);
});
