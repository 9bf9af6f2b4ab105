import type { Result } from '../core/call.ts';
import { type Edit, objectEdits, patch } from '../core/mcp/patch.ts';
import { type DocumentSpans, scanDocument } from '../core/mcp/scanner.ts';
import { classify, ownId, textOf } from './message-kind.ts';
import type { UpstreamEra } from './outgoing.ts';
import { type Incoming, WireFault } from './wire.ts';

/** A result or error value as it came, parsed only when somebody looks inside. */
export class ReceivedResult implements Result {
  readonly kind: 'result' | 'error';
  readonly bytes: Uint8Array;
  readonly diagnostics = null;
  #view: unknown;
  #parsed = false;

  constructor(kind: 'result' | 'error', bytes: Uint8Array) {
    this.kind = kind;
    this.bytes = bytes;
  }

  view(): unknown {
    if (!this.#parsed) {
      this.#view = JSON.parse(
        Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length).toString('utf8'),
      );
      this.#parsed = true;
    }
    return this.#view;
  }
}

/** Reads one JSON-RPC response to the request with our `id`. Anything else is a protocol fault; the call may have run. */
export function readAnswer(incoming: Incoming, id: number): ReceivedResult | WireFault {
  const { bytes } = incoming;
  const spans = incoming.spans ?? classify(bytes).spans;
  if (!spans || spans.method || spans.unknown)
    return new WireFault('protocol', true, `HTTP ${incoming.status}: no JSON-RPC response`);
  // An error before the upstream could read our id bears none (or null); it can only be about this exchange.
  const about =
    ownId(bytes, spans) === id || (spans.error !== null && (!spans.id || textOf(bytes, spans.id) === 'null'));
  if (!about) return new WireFault('protocol', true, 'the answer bears another id');
  if (spans.result && !spans.error)
    return new ReceivedResult('result', bytes.subarray(spans.result.start, spans.result.end));
  if (spans.error && !spans.result)
    return new ReceivedResult('error', bytes.subarray(spans.error.start, spans.error.end));
  return new WireFault('protocol', true, 'the answer is neither a result nor an error');
}

const COMPLETE = Buffer.from('"complete"');
const PRIVATE = Buffer.from('"private"');
const ZERO = Buffer.from('0');
const OUR_MARKS = 'gatewrit/';

/**
 * A result as revision 2026-07-28 wants it: `resultType` there and "complete" (protocol.md 1.3; questions of an
 * upstream are not relayed at this depth), a read never public and never to be kept (1.10). Marks in `_meta` under our
 * name are taken out: only this gateway may say that an approval is needed, or that an outcome is a repeat.
 */
export function dressResult(result: ReceivedResult, method: string, era: UpstreamEra): ReceivedResult | WireFault {
  if (result.kind === 'error') return result;
  const { bytes } = result;
  const document = scanDocument(bytes);
  if (typeof document === 'string' || !document.members)
    return new WireFault('protocol', true, 'the result is not an object');
  const type = document.members.get('resultType');
  if (era === 'modern' && type && textOf(bytes, type) !== '"complete"')
    return new WireFault('protocol', true, 'a result type this gateway does not relay');
  const meta = document.members.get('_meta');
  const edits = memberEdits(bytes, document, {
    ...(era === 'legacy' || !type ? { resultType: COMPLETE } : {}),
    ...(method === 'resources/read' ? { ttlMs: ZERO, cacheScope: PRIVATE } : {}),
  });
  const clean = meta && withoutOurMarks(bytes.subarray(meta.start, meta.end));
  if (meta && clean) edits.push({ span: meta, replacement: clean });
  return edits.length === 0 ? result : new ReceivedResult('result', patch(bytes, edits));
}

/** `_meta` without members under our name; null when it has none. */
function withoutOurMarks(meta: Uint8Array): Uint8Array | null {
  const document = scanDocument(meta);
  if (typeof document === 'string' || !document.members) return null;
  const marks = [...document.members].flatMap(([name, span]) =>
    name.toLowerCase().startsWith(OUR_MARKS) ? [span] : [],
  );
  return marks.length === 0 ? null : patch(meta, objectEdits(meta, document.value, { remove: marks }));
}

/** Edits that make members of a scanned object what they must be, whether they were there or not. */
function memberEdits(bytes: Uint8Array, document: DocumentSpans, wanted: Readonly<Record<string, Uint8Array>>): Edit[] {
  const missing: { name: string; value: Uint8Array }[] = [];
  const edits: Edit[] = [];
  for (const [name, value] of Object.entries(wanted)) {
    const span = document.members?.get(name);
    if (span) edits.push({ span, replacement: value });
    else missing.push({ name, value });
  }
  return missing.length === 0 ? edits : [...edits, ...objectEdits(bytes, document.value, { insert: missing })];
}
