import type { Message, WayIn } from '../../core/call.ts';
import type { RefusalCode } from '../../core/mcp/refusals.ts';
import { isObjectAt, type MessageSpans, parseSpan, type ScanFault } from '../../core/mcp/scanner.ts';
import { Refusal } from '../../core/stage.ts';

/** Longest request id a caller may choose, in UTF-8 bytes: it is repeated in answer, log and record. */
const MAX_ID_BYTES = 256;
const MAX_METHOD_BYTES = 128;

export const FAULT_CODES = {
  encoding: 'validation.encoding',
  json: 'validation.json',
  duplicate_key: 'validation.duplicate_key',
  folded_key: 'validation.envelope',
  bounds: 'validation.bounds',
  batch: 'validation.batch',
  not_object: 'validation.envelope',
} as const satisfies Record<ScanFault, RefusalCode>;

/** One JSON-RPC request, notification or response whose envelope holds. */
export interface Envelope {
  readonly kind: Message['kind'];
  readonly id: string | number | null;
  /** Lexeme of the id: repeated in refusals that come after this. */
  readonly idBytes: Uint8Array | null;
  /** '' for a response. */
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Judges the JSON-RPC envelope (JS-06): version, id, method, params or outcome; no member that is not defined. */
export function readEnvelope(bytes: Uint8Array, spans: MessageSpans): Envelope | Refusal {
  const id = spans.id === null ? null : readId(bytes, spans.id);
  if (id === undefined) return broken('the request id must be a string of at most 256 bytes or a whole number');
  const idBytes = spans.id === null ? null : bytes.subarray(spans.id.start, spans.id.end);
  if (spans.unknown) return broken('the envelope has a member that JSON-RPC does not define', idBytes);
  if (spans.jsonrpc === null || parseSpan(bytes, spans.jsonrpc) !== '2.0')
    return broken('jsonrpc must be "2.0"', idBytes);
  if (spans.result !== null || spans.error !== null) return readResponse(bytes, spans, id, idBytes);
  if (spans.method === null || spans.method.end - spans.method.start > MAX_METHOD_BYTES + 2) {
    return broken('method must be a string of at most 128 bytes', idBytes);
  }
  const method = parseSpan(bytes, spans.method);
  if (typeof method !== 'string' || method === '') return broken('method must be a string', idBytes);
  if (spans.params !== null && !isObjectAt(bytes, spans.params)) return broken('params must be an object', idBytes);
  const params = spans.params === null ? {} : (parseSpan(bytes, spans.params) as Readonly<Record<string, unknown>>);
  if (idBytes === null && !method.startsWith('notifications/')) return broken('a request must have an id');
  return { kind: idBytes === null ? 'notification' : 'request', id, idBytes, method, params };
}

const NO_PARAMS = Object.freeze({});

/** An answer to a question of ours: what is in a result only the asker can judge; an error has its two members. */
function readResponse(
  bytes: Uint8Array,
  spans: MessageSpans,
  id: Envelope['id'],
  idBytes: Uint8Array | null,
): Envelope | Refusal {
  if (idBytes === null) return broken('a response must have an id');
  if (spans.method !== null || spans.params !== null)
    return broken('a response has neither method nor params', idBytes);
  if (spans.result !== null && spans.error !== null) return broken('a response is a result or an error', idBytes);
  if (!isObjectAt(bytes, (spans.result ?? spans.error)!)) return broken('the outcome must be an object', idBytes);
  if (spans.error !== null) {
    const { code, message } = parseSpan(bytes, spans.error) as { code?: unknown; message?: unknown };
    if (!Number.isSafeInteger(code) || typeof message !== 'string')
      return broken('an error has a whole number as code and a message', idBytes);
  }
  return { kind: 'response', id, idBytes, method: '', params: NO_PARAMS };
}

/** The id, or undefined when it is null, a fraction, unsafe, too long or of another type. */
function readId(
  bytes: Uint8Array,
  span: { readonly start: number; readonly end: number },
): string | number | undefined {
  // A string of 256 bytes has at most six times as many when every character is escaped.
  if (span.end - span.start > MAX_ID_BYTES * 6 + 2) return undefined;
  const id = parseSpan(bytes, span);
  if (typeof id === 'string') return Buffer.byteLength(id) <= MAX_ID_BYTES ? id : undefined;
  return Number.isSafeInteger(id) ? (id as number) : undefined;
}

export function refuse(code: RefusalCode, text: string, requestId: Uint8Array | null = null): Refusal {
  return new Refusal(code, requestId === null ? { text } : { text, requestId });
}

function broken(why: string, requestId: Uint8Array | null = null): Refusal {
  return refuse('validation.envelope', `The body is not one JSON-RPC message: ${why}.`, requestId);
}

/** Calls of the admin API are built by our own code: no mirrored headers, no `_meta`. */
export function isOurs(way: WayIn): boolean {
  return way === 'admin';
}
