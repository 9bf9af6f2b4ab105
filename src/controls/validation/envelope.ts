import type { Message, Span, WayIn } from '../../core/call.ts';
import { NameTable } from '../../core/mcp/key-names.ts';
import type { RefusalCode } from '../../core/mcp/refusals.ts';
import { isObjectAt, type MessageSpans, parseSpan, type ScanFault, textOf } from '../../core/mcp/scanner.ts';
import { Refusal } from '../../core/stage.ts';
import { KNOWN_METHODS } from './methods.ts';

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
export class Envelope {
  readonly kind: Message['kind'];
  readonly id: string | number | null;
  /** '' for a response. */
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly #bytes: Uint8Array;
  readonly #id: Span | null;

  constructor(bytes: Uint8Array, spans: MessageSpans, read: Pick<Envelope, 'kind' | 'id' | 'method' | 'params'>) {
    this.kind = read.kind;
    this.id = read.id;
    this.method = read.method;
    this.params = read.params;
    this.#bytes = bytes;
    this.#id = spans.id;
  }

  /** Lexeme of the id: repeated in refusals that come after this, and cut only then. */
  get idBytes(): Uint8Array | null {
    return lexeme(this.#bytes, this.#id);
  }
}

function lexeme(bytes: Uint8Array, span: Span | null): Uint8Array | null {
  return span === null ? null : bytes.subarray(span.start, span.end);
}

/** Judges the JSON-RPC envelope (JS-06): version, id, method, params or outcome; no member that is not defined. */
export function readEnvelope(bytes: Uint8Array, spans: MessageSpans): Envelope | Refusal {
  const id = spans.id === null ? null : readId(bytes, spans.id);
  if (id === undefined) return broken('the request id must be a string of at most 256 bytes or a whole number');
  const wrong = (why: string) => broken(why, lexeme(bytes, spans.id));
  if (spans.unknown) return wrong('the envelope has a member that JSON-RPC does not define');
  if (spans.jsonrpc === null || !isVersion(bytes, spans.jsonrpc)) return wrong('jsonrpc must be "2.0"');
  if (spans.result !== null || spans.error !== null) return readResponse(bytes, spans, id);
  if (spans.method === null || spans.method.end - spans.method.start > MAX_METHOD_BYTES + 2)
    return wrong('method must be a string of at most 128 bytes');
  const method = readMethod(bytes, spans.method);
  if (typeof method !== 'string' || method === '') return wrong('method must be a string');
  if (spans.params !== null && !isObjectAt(bytes, spans.params)) return wrong('params must be an object');
  const params = spans.params === null ? {} : (parseSpan(bytes, spans.params, spans) as Envelope['params']);
  if (spans.id === null && !method.startsWith('notifications/')) return broken('a request must have an id');
  return new Envelope(bytes, spans, { kind: spans.id === null ? 'notification' : 'request', id, method, params });
}

const VERSION = new NameTable(['"2.0"']);
const METHODS = new NameTable(KNOWN_METHODS);

/** What nearly everybody sends is compared; another spelling of the same text is parsed. */
function isVersion(bytes: Uint8Array, { start, end }: Span): boolean {
  return VERSION.find(bytes, start, end) !== null || parseSpan(bytes, { start, end }) === '2.0';
}

function readMethod(bytes: Uint8Array, span: Span): unknown {
  const quoted = bytes[span.start] === QUOTE;
  return (quoted ? METHODS.find(bytes, span.start + 1, span.end - 1) : null) ?? parseSpan(bytes, span);
}

const NO_PARAMS = Object.freeze({});

/** An answer to a question of ours: what is in a result only the asker can judge; an error has its two members. */
function readResponse(bytes: Uint8Array, spans: MessageSpans, id: Envelope['id']): Envelope | Refusal {
  if (spans.id === null) return broken('a response must have an id');
  const wrong = (why: string) => broken(why, lexeme(bytes, spans.id));
  if (spans.method !== null || spans.params !== null) return wrong('a response has neither method nor params');
  if (spans.result !== null && spans.error !== null) return wrong('a response is a result or an error');
  if (!isObjectAt(bytes, (spans.result ?? spans.error)!)) return wrong('the outcome must be an object');
  if (spans.error !== null) {
    const { code, message } = parseSpan(bytes, spans.error) as { code?: unknown; message?: unknown };
    if (!Number.isSafeInteger(code) || typeof message !== 'string')
      return wrong('an error has a whole number as code and a message');
  }
  return new Envelope(bytes, spans, { kind: 'response', id, method: '', params: NO_PARAMS });
}

/** The id, or undefined when it is null, a fraction, unsafe, too long or of another type. */
function readId(bytes: Uint8Array, span: Span): string | number | undefined {
  // A string of 256 bytes has at most six times as many when every character is escaped.
  if (span.end - span.start > MAX_ID_BYTES * 6 + 2) return undefined;
  const plain = plainId(bytes, span);
  if (plain !== null) return plain;
  const id = parseSpan(bytes, span);
  if (typeof id === 'string') return Buffer.byteLength(id) <= MAX_ID_BYTES ? id : undefined;
  return Number.isSafeInteger(id) ? (id as number) : undefined;
}

/** An id as nearly everybody writes it: a few digits, or a short string without an escape; null for any other. */
function plainId(bytes: Uint8Array, { start, end }: Span): string | number | null {
  if (bytes[start] === QUOTE) {
    if (end - start > MAX_ID_BYTES + 2) return null;
    for (let i = start + 1; i < end - 1; i++) if (bytes[i] === BACKSLASH) return null;
    return textOf(bytes, start + 1, end - 1);
  }
  if (end - start > SAFE_DIGITS) return null;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  return value;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** So many digits are always a safe integer. */
const SAFE_DIGITS = 15;

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
