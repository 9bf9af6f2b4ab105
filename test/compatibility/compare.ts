import type { Client } from '@modelcontextprotocol/client';
import type { Call, PublishedServer } from './servers.ts';

/** What a client sees of one call. `result` is null when it was answered with a protocol error. */
export interface Seen {
  readonly result: Readonly<Record<string, unknown>> | null;
  readonly error: string | null;
}

/**
 * What became of a call on its way through a gateway. `withheld`: the server's own error went to the operator instead of
 * to the caller (errors control); `redacted`: personal data that the list names was replaced, and nothing else. Both are
 * by design and counted on their own.
 */
export type Outcome =
  | { readonly kind: 'served' }
  | { readonly kind: 'withheld' | 'redacted' | 'refused' | 'altered'; readonly call: Call; readonly what: string };

export type Expected = Pick<PublishedServer, 'varies' | 'personal'>;

const REPLACED = /\[[A-Z]+:[A-Z2-7]{16}\]/g;
const PLACE = '[personal]';
const CALL_MS = 30_000;

export async function ask(client: Client, call: Call): Promise<Seen> {
  try {
    const answer = await client.callTool({ name: call.tool, arguments: call.arguments }, { timeout: CALL_MS });
    return { result: answer as Readonly<Record<string, unknown>>, error: null };
  } catch (error) {
    return { result: null, error: (error as Error).message };
  }
}

export function isError({ result }: Seen): boolean {
  return result === null || result['isError'] === true;
}

export function compare(call: Call, direct: Seen, through: Seen, server: Expected): Outcome {
  const [before, after] = [settled(direct, server.varies), settled(through, server.varies)];
  if (before === after) return { kind: 'served' };
  const code = (through.result?.['_meta'] as Readonly<Record<string, unknown>> | undefined)?.['gatewrit/code'];
  if (isError(direct) && code === 'TOOL_EXECUTION_ERROR') return { kind: 'withheld', call, what: textOf(direct) };
  if (isError(through)) return { kind: 'refused', call, what: textOf(through) };
  const expected = server.personal.reduce((text, value) => text.replaceAll(value, PLACE), before);
  const kind = expected === after.replaceAll(REPLACED, PLACE) ? 'redacted' : 'altered';
  return { kind, call, what: difference(before, after) };
}

function textOf({ result, error }: Seen): string {
  const content = (result?.['content'] ?? []) as readonly { readonly text?: string }[];
  return error ?? content.map(({ text }) => text ?? '').join(' ');
}

/** What two direct calls have in common: no clocks, no process numbers, nothing drawn at random. */
const PASSING = [
  /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?/g,
  /\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[^"\\\n]*/g,
  /\b[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b/g,
  /\b\d{1,2}:\d\d:\d\d( [AP]M)?\b/g,
  /\b(\d{13}|\d+(\.\d+)? ?m?s)\b/g,
];

function settled({ result, error }: Seen, varies: readonly RegExp[]): string {
  const { content, structuredContent, isError: failed } = result ?? {};
  let text = JSON.stringify({ content, structuredContent, failed: failed === true, error });
  for (const pattern of [...PASSING, ...varies]) text = text.replaceAll(pattern, '~');
  return text;
}

const AROUND = 60;
function difference(before: string, after: string): string {
  let at = 0;
  while (at < before.length && before[at] === after[at]) at++;
  const cut = (text: string) => text.slice(Math.max(0, at - AROUND), at + AROUND);
  return `"${cut(before)}" became "${cut(after)}"`;
}
