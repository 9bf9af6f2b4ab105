import { type MessageSpans, scanMessage } from '../core/mcp/scanner.ts';

export type MessageKind = 'response' | 'request' | 'notification' | 'invalid';

export interface Classified {
  readonly kind: MessageKind;
  /** Null when the bytes are not one strict JSON-RPC message. */
  readonly spans: MessageSpans | null;
}

/** What an upstream has sent. Read strictly, as everything: an upstream is not trusted more than a client. */
export function classify(bytes: Uint8Array): Classified {
  const spans = scanMessage(bytes);
  if (typeof spans === 'string') return { kind: 'invalid', spans: null };
  if (spans.method) return { kind: spans.id ? 'request' : 'notification', spans };
  return { kind: spans.result || spans.error ? 'response' : 'invalid', spans };
}

/** The id of a response when it is one of ours (a positive integer), else null. */
export function ownId(bytes: Uint8Array, spans: MessageSpans): number | null {
  return spans.id && numberAt(bytes, spans.id);
}

/** One of our ids or tokens, which are positive integers; a string of the same digits is another value. */
export function numberAt(bytes: Uint8Array, { start, end }: { start: number; end: number }): number | null {
  if (end - start > MAX_ID_DIGITS) return null;
  const number = Number(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1'));
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}

const MAX_ID_DIGITS = 16;

export const LIST_NAMES = ['tools', 'prompts', 'resources'] as const;
export type ListName = (typeof LIST_NAMES)[number];

/** The list of the server that a notice says has changed: its pins must be compared again. Null: it says something else. */
export function changedList(bytes: Uint8Array, { kind, spans }: Classified): ListName | null {
  const method = kind === 'notification' && spans ? spans.method : null;
  if (method === null || method.end - method.start > 64) return null;
  return LIST_CHANGED.get(textOf(bytes, method)) ?? null;
}

const LIST_CHANGED: ReadonlyMap<string, ListName> = new Map(
  LIST_NAMES.map((list) => [`"notifications/${list}/list_changed"`, list]),
);

export function textOf(bytes: Uint8Array, span: { start: number; end: number }): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + span.start, span.end - span.start).toString('utf8');
}
