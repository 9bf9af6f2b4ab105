import { LEGACY_MESSAGES, MESSAGES, type Message, mutatedBody } from './body.ts';
import type { Dice } from './dice.ts';

/** Credentials of one fuzzer: its own principal's, and what is none. */
export interface Credentials {
  readonly good: readonly string[];
  readonly bad: readonly string[];
}

export interface FuzzRequest {
  readonly verb: string;
  readonly bytes: Buffer;
  /** The gateway may see another number of requests in these bytes than one, or end the connection without an answer. */
  readonly framingIsCertain: boolean;
  /** What is sent of them before the fuzzer goes away or waits. */
  readonly delivery: 'whole' | 'pieces' | 'abandoned' | 'stalled';
}

type Line = [name: string, value: string];

const PATHS = [
  '/mcp/',
  '/mcp/witness',
  '/mcp?x=1',
  '/%6dcp',
  '//mcp',
  '/',
  '*',
  '/mcp/../admin',
  '/MCP',
  '/mcp/\u00ff',
  `/${'a'.repeat(9_000)}`,
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/mcp',
  '/healthz',
];
const VERBS = ['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE', 'PROPFIND', 'post', 'P\u00d6ST', 'CONNECT'];
const VALUES = [
  '',
  ' ',
  '\t',
  'null',
  '0',
  '-1',
  '1e9',
  '*',
  '../..',
  'a'.repeat(300),
  'a'.repeat(20_000),
  '\u00ff\u00fe',
  'x, y',
  '"',
  '=?base64?AAAA?=',
  '=?base64?!?=',
  'application/json',
  'tools/list',
];
const NAMES = [
  'X-A',
  'Host',
  'Origin',
  'Cookie',
  'Expect',
  'Upgrade',
  'Connection',
  'Transfer-Encoding',
  'Content-Length',
  'Content-Encoding',
  'Content-Type',
  'Accept',
  'Authorization',
  'DPoP',
  'Mcp-Method',
  'Mcp-Name',
  'Mcp-Param-X',
  'MCP-Protocol-Version',
  'Mcp-Session-Id',
  'Last-Event-Id',
  'Traceparent',
  'X-Forwarded-For',
  'Trailer',
  'TE',
  'Keep-Alive',
  '__proto__',
  'constructor',
];
/** Headers by which HTTP itself decides where a message ends. */
const FRAMING = /^(content-length|transfer-encoding|connection|upgrade|expect|trailer|te|keep-alive)$/i;

/** One request of a fuzzer: a right one, mutated in body, head, credential, framing or delivery. */
export function fuzzRequest(dice: Dice, to: { host: string; admin: boolean; credentials: Credentials }): FuzzRequest {
  const legacy = !to.admin && dice.chance(0.3);
  const message = dice.pick(legacy ? LEGACY_MESSAGES : MESSAGES);
  let body: Buffer = mutatedBody(message.text, dice);
  let verb = 'POST';
  let path = dice.chance(0.07) ? dice.pick(PATHS) : '/mcp';
  if (to.admin) {
    path = dice.pick([
      '/api/approvals',
      '/api/approvals/0123',
      '/api/approvals/0123/approve',
      '/api/approvals/%2e%2e/deny',
      '/api/%ff',
      '/console',
      '/readyz',
      ...PATHS,
    ]);
    verb = dice.pick(['GET', 'POST']);
    if (dice.chance(0.5)) body = mutatedBody('{"reason":"because"}', dice);
  }
  if (dice.chance(0.04)) verb = dice.pick(VERBS);
  const lines: Line[] = [
    ['Host', to.host],
    ['Content-Type', 'application/json'],
    ['Accept', 'application/json, text/event-stream'],
    ...(legacy ? legacyLines(dice) : mirrored(message)),
    ...credentialLine(dice, to.credentials),
  ];
  let certain = !['CONNECT', 'HEAD', 'post', 'P\u00d6ST'].includes(verb) && !/[^\x21-\x7e]/.test(path);
  if (dice.chance(0.25)) {
    for (const name of mutateLines(lines, dice)) certain &&= !FRAMING.test(name);
  }
  const framed = frame(body, dice);
  lines.push(...framed.lines);
  certain &&= framed.certain;
  let head = Buffer.from(
    `${verb} ${path} HTTP/${dice.chance(0.01) ? '1.0' : '1.1'}\r\n${lines.map(([name, value]) => `${name}: ${value}`).join('\r\n')}\r\n\r\n`,
    'latin1',
  );
  if (dice.chance(0.05)) {
    certain = false;
    head = Buffer.from(head);
    for (let i = 1 + dice.below(4); i > 0; i--) head[dice.below(head.length)]! ^= 1 << dice.below(8);
  }
  if (head.includes(' HTTP/1.0')) certain = false;
  const delivery = dice.chance(0.92)
    ? 'whole'
    : dice.chance(0.6)
      ? 'pieces'
      : dice.chance(0.8)
        ? 'abandoned'
        : 'stalled';
  return { verb, bytes: Buffer.concat([head, framed.body]), framingIsCertain: certain, delivery };
}

function mirrored({ method, name }: Message): Line[] {
  return [
    ['MCP-Protocol-Version', '2026-07-28'],
    ['Mcp-Method', method],
    ...(name ? ([['Mcp-Name', name]] as Line[]) : []),
  ];
}

function legacyLines(dice: Dice): Line[] {
  const version = dice.pick(['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '']);
  return [
    ...(version ? ([['MCP-Protocol-Version', version]] as Line[]) : []),
    ...(dice.chance(0.1) ? ([['Mcp-Session-Id', dice.pick(['s1.a.AAAA', '', 'x'.repeat(3_000)])]] as Line[]) : []),
  ];
}

function credentialLine(dice: Dice, { good, bad }: Credentials): Line[] {
  if (dice.chance(0.8)) return [['Authorization', `Bearer ${dice.pick(good)}`]];
  if (dice.chance(0.3)) return [];
  const token = dice.pick([...good, ...bad]);
  const bytes = Buffer.from(token, 'latin1');
  if (bytes.length > 0) bytes[dice.below(bytes.length)]! ^= 1 << dice.below(7);
  const mutated = dice.chance(0.5) ? token : bytes.toString('latin1').replaceAll(/[\r\n]/g, 'x');
  return [['Authorization', `${dice.pick(['Bearer', 'Bearer', 'bearer', 'DPoP', 'Basic', ''])} ${mutated}`]];
}

/** @returns names of the lines that were touched */
function mutateLines(lines: Line[], dice: Dice): string[] {
  const touched: string[] = [];
  for (let i = 1 + dice.below(3); i > 0; i--) {
    const at = dice.below(lines.length);
    const line = lines[at]!;
    switch (dice.below(5)) {
      case 0:
        touched.push(line[0]);
        lines.splice(at, 1);
        break;
      case 1:
        touched.push(line[0]);
        lines.splice(at, 0, [line[0].toUpperCase(), dice.pick([line[1], ...VALUES])]);
        break;
      case 2:
        touched.push(line[0]);
        lines[at] = [line[0], dice.pick(VALUES)];
        break;
      case 3: {
        const name = dice.pick(NAMES);
        touched.push(name);
        lines.push([name, dice.pick(VALUES)]);
        break;
      }
      default:
        for (let n = dice.pick([1, 60, 80]); n > 0; n--) lines.push([`X-${n}`, 'a']);
    }
    if (lines.length === 0) lines.push(['X-A', 'b']);
  }
  return touched;
}

function frame(body: Buffer, dice: Dice): { lines: Line[]; body: Buffer; certain: boolean } {
  if (dice.chance(0.85)) return { lines: [['Content-Length', String(body.length)]], body, certain: true };
  if (dice.chance(0.15)) {
    const length = Math.max(0, body.length + dice.pick([-20, -1, 1, 20, 1_000_000]));
    return { lines: [['Content-Length', String(length)]], body, certain: false };
  }
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + dice.below(dice.pick([3, 100, 100_000])));
    chunks.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  chunks.push(Buffer.from('0\r\n\r\n'));
  const whole = Buffer.concat(chunks);
  const certain = dice.chance(0.7);
  if (!certain) whole[dice.below(whole.length)]! ^= 1 << dice.below(8);
  return { lines: [['Transfer-Encoding', 'chunked']], body: whole, certain };
}
