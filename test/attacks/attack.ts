import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { TokenRecipe } from './forge.ts';

/**
 * Attacks as data: add a case to a file of this folder, nothing else. Placeholders in texts: `{mcp}` and `{admin}` are
 * the gateway's URLs, `{host}` its authority, `{valid}` the body as it would have been, `{token}` the credential.
 */
const expectation = z.strictObject({
  status: z
    .union([z.int(), z.enum(['alert', 'closed'])])
    .optional()
    .describe('HTTP status; alert: no TLS handshake; closed: no answer'),
  word: z.string().nullable().optional().describe('public word of the refusal'),
  rpc: z.int().nullable().optional().describe('JSON-RPC error code'),
  record: z
    .string()
    .nullable()
    .optional()
    .describe('code of the one record it leaves; answered: a call that was let through; none: no record'),
  log: z.string().optional().describe('regular expression that the operator log must match'),
  upstream: z
    .enum(['still', 'moves', 'any'])
    .optional()
    .describe('whether one call reaches the upstream (default still)'),
  arrives: z.string().optional().describe('text in what the upstream received'),
  headers: z.record(z.string(), z.string()).optional().describe('header: regular expression'),
  without: z.array(z.string()).optional().describe('headers that must be absent'),
  contains: z.array(z.string()).optional(),
  lacks: z.array(z.string()).optional(),
  closes: z.boolean().nullable().optional().describe('the connection ends behind the answer'),
  withinMs: z.int().optional(),
});

const sent = z.strictObject({
  gateway: z.enum(['wide', 'tight']).optional().describe('tight: small windows and back-off (default wide)'),
  from: z.string().optional().describe('loopback address to come from'),
  tls: z.record(z.string(), z.unknown()).optional().describe('options of the TLS client'),
  listener: z.enum(['public', 'admin']).optional(),
  as: z
    .string()
    .optional()
    .describe('principal: writer, reader or approver, or another subject with the scopes of a writer'),
  token: z
    .union([z.string(), z.null(), z.custom<TokenRecipe>((value) => typeof value === 'object')])
    .optional()
    .describe('text, null for none, or a recipe'),
  verb: z.string().optional(),
  path: z.string().optional(),
  headers: z.record(z.string(), z.union([z.string(), z.null(), z.array(z.string())])).optional(),
  revision: z
    .string()
    .optional()
    .describe('a message of this older revision, as a sessionless client sends it; none: it names no revision'),
  message: z.record(z.string(), z.unknown()).optional().describe('laid over the valid message; params whole'),
  arguments: z.record(z.string(), z.unknown()).optional(),
  edit: z
    .array(z.tuple([z.string(), z.string()]))
    .optional()
    .describe('first occurrence replaced in the text of the body'),
  fill: z
    .array(z.strictObject({ mark: z.string(), text: z.string(), times: z.int() }))
    .optional()
    .describe('`{n}` counts'),
  body: z.union([z.string(), z.null()]).optional(),
  bytes: z.string().optional().describe('body in base64'),
  gzip: z.boolean().optional(),
  framing: z.union([z.enum(['length', 'chunked']), z.strictObject({ length: z.int() })]).optional(),
  raw: z.string().optional().describe('the whole request, as it is'),
  times: z.int().optional().describe('sent so often; the last is judged, those before must answer `before`'),
  before: z.int().optional(),
  together: z
    .int()
    .optional()
    .describe('so many at once, each on a connection of its own; `{nonce}` differs, and each must be answered its own'),
  waitMs: z.int().optional().describe('waits first'),
  answers: z
    .strictObject({
      result: z.unknown().optional(),
      error: z.unknown().optional(),
      raw: z.string().optional().describe('a whole line instead; `{id}` is the id of the request'),
      flood: z.int().optional().describe('so many bytes without an end of line'),
      times: z.int().optional().describe('texts `@@` in result and error are repeated so often'),
    })
    .optional()
    .describe('what the upstream says to the next call that reaches it'),
});
const oneCase = sent.extend({
  why: z.string(),
  expect: expectation.optional(),
  matrix: z.record(z.string(), z.array(z.unknown())).optional(),
  keep: z
    .record(z.string(), z.string())
    .optional()
    .describe(
      'name: regular expression; its group, found in head or body, stands for `{name}` in later cases of the attack',
    ),
  handles: z
    .string()
    .optional()
    .describe('regular expression; its group is a handle: those of all times must not be guessable'),
});

const attack = z.strictObject({
  id: z.string().regex(/^[A-Z]+-\d\d$/),
  attack: z.string(),
  send: sent.optional(),
  expect: expectation,
  corpus: z.enum(['json', 'jws']).optional().describe('third-party vectors: one case each'),
  cases: z.array(oneCase).default([]),
});

export type Expectation = z.output<typeof expectation>;
export type Sent = z.output<typeof sent>;
export interface Case extends Sent {
  readonly why: string;
  readonly expect: Expectation;
  readonly keep?: Readonly<Record<string, string>> | undefined;
  readonly handles?: string | undefined;
}
export interface Attack {
  readonly id: string;
  readonly attack: string;
  readonly cases: readonly Case[];
  readonly skipped: string | null;
}

/** Every attack of this folder, by id; cases with a matrix become one case per combination. */
export function readAttacks(vectors: string | null): Attack[] {
  const files = globSync('*.yaml', { cwd: import.meta.dirname, exclude: ['checklist.yaml', 'starts.yaml'] }).sort();
  const all = files.flatMap((file) =>
    z.array(attack).parse(parse(readFileSync(join(import.meta.dirname, file), 'utf8'), { merge: true })),
  );
  return all.map(({ id, attack: title, send, expect, cases, corpus }) => {
    const listed = corpus && vectors ? corpusCases(corpus, vectors) : [];
    const expanded = [...cases.flatMap(combinations), ...listed].map(
      (one): Case => ({ ...send, ...one, expect: { ...expect, ...one.expect } }),
    );
    return {
      id,
      attack: title,
      cases: expanded,
      skipped: corpus && !vectors ? 'third-party vectors are not here' : null,
    };
  });
}

type Listed = Omit<z.output<typeof oneCase>, 'matrix'>;

function combinations({ matrix, ...one }: z.output<typeof oneCase>): Listed[] {
  let list: Listed[] = [one];
  for (const [member, values] of Object.entries(matrix ?? {})) {
    list = list.flatMap((so) =>
      values.map((value) => ({
        ...so,
        why: `${so.why} ${member} ${JSON.stringify(value)?.slice(0, 60)}`,
        [member]: value,
      })),
    );
  }
  return list;
}

function corpusCases(corpus: 'json' | 'jws', vectors: string): Listed[] {
  if (corpus === 'jws') {
    const { testGroups } = JSON.parse(readFileSync(join(vectors, 'jws-rsa.json'), 'utf8')) as {
      testGroups: { tests: { jws: unknown; tcId: number }[] }[];
    };
    const tests = testGroups.flatMap((group) => group.tests);
    return tests.flatMap(({ jws, tcId }) =>
      typeof jws === 'string' && /^[\x21-\x7e]+$/.test(jws) ? [{ why: `vector ${tcId}`, token: jws }] : [],
    );
  }
  const { accept, reject } = JSON.parse(readFileSync(join(vectors, 'json-parsing.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  const bodies = Object.entries(reject!).map(([name, bytes]) => ({ why: `body ${name}`, bytes }));
  const values = Object.entries(reject!).map(([name, value]) => ({ why: `value ${name}`, bytes: inside(value) }));
  const good = Object.entries(accept!).map(([name, value]) => ({
    why: `value ${name}`,
    bytes: inside(value),
    expect: NOT_A_PARSE_ERROR,
  }));
  return [...bodies, ...values, ...good];
}

/** What the corpus accepts may still break a rule of ours (names twice, depth): no parse error, that is all. */
const NOT_A_PARSE_ERROR = {
  status: undefined,
  rpc: undefined,
  record: undefined,
  upstream: 'any',
  lacks: ['-32700'],
} as unknown as Expectation;

/** A text of the corpus as one argument of an otherwise good call, base64. */
function inside(value: string): string {
  const meta =
    '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
  const head = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"witness__write_note",${meta},"arguments":{"title":"x","data":{"v":`;
  return Buffer.concat([Buffer.from(head), Buffer.from(value, 'base64'), Buffer.from('}}}}')]).toString('base64');
}
