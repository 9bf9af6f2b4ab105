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

/** A notice that a list of the server changed: its pins must be compared again. */
export function isListChanged(bytes: Uint8Array, spans: MessageSpans): boolean {
  const { method } = spans;
  return method !== null && method.end - method.start <= 64 && LIST_CHANGED.has(textOf(bytes, method));
}

const LIST_CHANGED: ReadonlySet<string> = new Set(
  ['tools', 'prompts', 'resources'].map((list) => `"notifications/${list}/list_changed"`),
);

export function textOf(bytes: Uint8Array, span: { start: number; end: number }): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + span.start, span.end - span.start).toString('utf8');
}
