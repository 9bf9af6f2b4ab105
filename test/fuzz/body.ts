import type { Dice } from './dice.ts';

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

/** A method, what it acts on, and a body that is right: where every mutation begins. */
export interface Message {
  readonly method: string;
  readonly name: string;
  readonly text: string;
}

const call = (method: string, name: string, rest: string): Message => ({
  method,
  name,
  text: `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{"${method === 'resources/read' ? 'uri' : 'name'}":"${name}",${rest}${META}}}`,
});
const list = (method: string): Message => ({
  method,
  name: '',
  text: `{"jsonrpc":"2.0","id":"a","method":"${method}","params":{${META}}}`,
});

export const MESSAGES: readonly Message[] = [
  call(
    'tools/call',
    'witness__write_note',
    '"arguments":{"title":"a note","count":12,"tags":["a","b"],"data":{"x":[1,2.5,null]}},',
  ),
  call('tools/call', 'witness__write_note', '"arguments":{"title":"mail bob@example.org or 4111 1111 1111 1111"},'),
  call('tools/call', 'witness__read_note', '"arguments":{},'),
  call('tools/call', 'witness__inherited', '"arguments":{"constructor":"a","toString":"b"},'),
  call('tools/call', 'witness__hidden_note', '"arguments":{},'),
  call('tools/call', 'destructive__jira_create', '"arguments":{"title":"made by nobody"},'),
  call('prompts/get', 'witness__greet', '"arguments":{"who":"you"},'),
  call('resources/read', 'witness://notes/first', ''),
  call('resources/read', 'witness://pages/7', ''),
  ...['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'server/discover', 'ping'].map(list),
  {
    method: 'notifications/cancelled',
    name: '',
    text: '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
  },
];

const asked = (method: string, params: string): Message => ({
  method,
  name: '',
  text: `{"jsonrpc":"2.0","id":"b","method":"${method}","params":${params}}`,
});

/** The same as older revisions say it, and what only they have. */
export const LEGACY_MESSAGES: readonly Message[] = [
  ...MESSAGES.map((one) => ({ ...one, text: one.text.replace(`,${META}`, '').replace(META, '') })),
  asked('initialize', '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"f","version":"1"}}'),
  asked('logging/setLevel', '{"level":"info"}'),
  asked('resources/subscribe', '{"uri":"witness://notes/first"}'),
  asked(
    'completion/complete',
    '{"ref":{"type":"ref/prompt","name":"witness__greet"},"argument":{"name":"who","value":"a"}}',
  ),
  { method: '', name: '', text: '{"jsonrpc":"2.0","id":"r1.a.b","result":{"action":"accept","content":{}}}' },
];

const SCALARS = [
  'null',
  'true',
  '""',
  '0',
  '-0',
  '1e308',
  '1e400',
  '-1e-400',
  '9007199254740993',
  '0.1e1',
  '[]',
  '{}',
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{}}}',
  '"\\ud800"',
  '"\\u0000"',
  '"\u2028\u2029\u0085"',
  '"\ufeff"',
  '"\u202e\u200b"',
  '"\u{1f600}"',
  '"../../etc/passwd"',
  '01',
  '+1',
  '.5',
  '1.',
  'NaN',
  "'a'",
  'undefined',
  '"\t"',
] as const;
const NAMES = [
  'method',
  'Method',
  'params',
  'id',
  'jsonrpc',
  'name',
  'arguments',
  '_meta',
  'title',
  '__proto__',
  'result',
  '',
] as const;

type Mutation = (text: string, dice: Dice) => string;

/** Where a JSON value may stand: behind a colon, a bracket or a comma. */
function valuePlace(text: string, dice: Dice): number {
  const places = [...text.matchAll(/[:[,](?=["{[\dtfn-])/g)].map((match) => match.index + 1);
  return places.length > 0 ? dice.pick(places) : 0;
}

/** End of the scalar that begins here; of a structure only its first character: leaving it unbalanced is welcome. */
function valueEnd(text: string, start: number): number {
  const scalar = /^(?:"(?:[^"\\]|\\.)*"|-?[\d.eE+-]+|true|false|null)/.exec(text.slice(start, start + 500));
  return start + (scalar ? scalar[0].length : 1);
}

const MUTATIONS: readonly Mutation[] = [
  function replaceValue(text, dice) {
    const at = valuePlace(text, dice);
    return text.slice(0, at) + dice.pick(SCALARS) + text.slice(valueEnd(text, at));
  },
  function addMember(text, dice) {
    const braces = [...text.matchAll(/\{/g)].map((match) => match.index + 1);
    const at = braces.length > 0 ? dice.pick(braces) : 0;
    return `${text.slice(0, at)}"${dice.pick(NAMES)}":${dice.pick(SCALARS)},${text.slice(at)}`;
  },
  function doubleMember(text, dice) {
    const members = [...text.matchAll(/"[^"]*":(?:"[^"]*"|[\d.]+|null|true|false),/g)];
    const one = members.length > 0 ? dice.pick(members) : null;
    return one ? text.slice(0, one.index) + one[0] + text.slice(one.index) : text;
  },
  function dropMember(text, dice) {
    const members = [...text.matchAll(/"[^"]*":(?:"[^"]*"|[\d.]+|null|true|false),?/g)];
    const one = members.length > 0 ? dice.pick(members) : null;
    return one ? text.slice(0, one.index) + text.slice(one.index + one[0].length) : text;
  },
  function nest(text, dice) {
    const at = valuePlace(text, dice);
    const depth = dice.pick([5, 60, 64, 65, 70, 1_000, 100_000]);
    const [open, close] = dice.pick([
      ['[', ']'],
      ['{"a":', '}'],
    ]) as [string, string];
    const end = valueEnd(text, at);
    const closing = dice.chance(0.7) ? close.repeat(depth) : '';
    return text.slice(0, at) + open.repeat(depth) + (text.slice(at, end) || '1') + closing + text.slice(end);
  },
  function grow(text, dice) {
    const at = valuePlace(text, dice);
    const size = dice.pick([100, 1_000, 5_000, 70_000, 300_000, 1_100_000]);
    const piece = dice.pick(['x', '\u20ac', '\\u0041', 'a@b.cc ']);
    return `${text.slice(0, at)}"${piece.repeat(Math.floor(size / piece.length))}"${text.slice(valueEnd(text, at))}`;
  },
  function widen(text, dice) {
    const count = dice.pick([10, 1_000, 20_000]);
    const members = Array.from({ length: count }, (_, i) => `"k${dice.chance(0.001) ? 0 : i}":${i}`).join(',');
    const at = valuePlace(text, dice);
    return `${text.slice(0, at)}{${members}}${text.slice(valueEnd(text, at))}`;
  },
  function number(text, dice) {
    const at = valuePlace(text, dice);
    const digits = '7'.repeat(dice.pick([1, 15, 20, 255, 256, 400, 5_000]));
    return `${text.slice(0, at)}${dice.chance(0.3) ? '-' : ''}${digits}${dice.chance(0.3) ? 'e5' : ''}${text.slice(valueEnd(text, at))}`;
  },
  function cut(text, dice) {
    const at = dice.below(text.length + 1);
    return text.slice(0, at) + text.slice(at + dice.below(20));
  },
  function repeatSlice(text, dice) {
    const at = dice.below(text.length + 1);
    const slice = text.slice(at, at + dice.below(40));
    return text.slice(0, at) + slice.repeat(dice.pick([2, 3, 500])) + text.slice(at);
  },
  function insertText(text, dice) {
    const at = dice.below(text.length + 1);
    return (
      text.slice(0, at) +
      dice.pick([',', '"', '}', ']', '\\', '\u0000', '\ufeff', '\r\n', '/*', '\u{10ffff}', ' ']) +
      text.slice(at)
    );
  },
  function swapCase(text, dice) {
    const at = dice.below(text.length + 1);
    return text.slice(0, at) + text.slice(at, at + 8).toUpperCase() + text.slice(at + 8);
  },
  function batch(text, dice) {
    return `[${Array.from({ length: dice.pick([0, 1, 2, 100]) }, () => text).join(',')}]`;
  },
  function twice(text, dice) {
    return text + dice.pick(['', ' ', '\n', ',']) + text;
  },
  function otherRoot(_text, dice) {
    return dice.pick(SCALARS);
  },
];

/** Bytes of a body: most often right or nearly so, sometimes nothing like it. */
export function mutatedBody(text: string, dice: Dice): Buffer {
  let edited = text;
  for (let i = dice.pick([0, 0, 1, 1, 1, 2, 4]); i > 0; i--) {
    edited = dice.pick(MUTATIONS)(edited, dice);
    if (edited.length > 2_000_000) edited = edited.slice(0, 2_000_000);
  }
  const bytes = Buffer.from(edited);
  if (dice.chance(0.15) && bytes.length > 0) {
    for (let i = 1 + dice.below(8); i > 0; i--) bytes[dice.below(bytes.length)]! ^= 1 << dice.below(8);
  }
  if (dice.chance(0.02)) return dice.bytes(dice.below(2_000));
  return bytes;
}
