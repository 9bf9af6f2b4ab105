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
  if (!spans.id) return null;
  const id = Number(
    Buffer.from(bytes.buffer, bytes.byteOffset + spans.id.start, spans.id.end - spans.id.start).toString('latin1'),
  );
  return Number.isSafeInteger(id) && id > 0 ? id : null;
}

export function textOf(bytes: Uint8Array, span: { start: number; end: number }): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + span.start, span.end - span.start).toString('utf8');
}
