import type { Call, CallWith, Client, Now, Span } from '../core/call.ts';
import { uuidv7 } from '../core/ids.ts';
import type { WireAnswer } from '../core/mcp/wire.ts';
import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';

/** The only revision that has batches (protocol.md 1.6). */
const REVISION = '2025-03-26';
export const MAX_BATCH = 50;

export interface BatchPorts {
  readonly session: Stages['authentication']['session'];
  /** Takes one message of a batch through its own flow, from its own limits on. */
  readonly one: (call: Call) => Promise<WireAnswer>;
  readonly clock: () => Now;
}

/**
 * A request whose body was refused as a batch: in the one revision that has them each message becomes a call of its own,
 * judged, limited and recorded alone; no message can hide behind another. Else the refusal stands.
 * @param refusal why its body is no single message
 */
export function runBatch(call: Call, refusal: Refusal, ports: BatchPorts): Refusal | Promise<WireAnswer> {
  const { body, endpoint, principal } = call;
  if (!body || !endpoint || !principal || call.way !== 'http') return refusal;
  const said = call.head.headers['mcp-protocol-version'];
  if (said !== undefined && said !== REVISION) return refusal;
  const client = ports.session.run(call as CallWith<'endpoint' | 'principal'>, ports.clock()) as Client | Refusal;
  if (client instanceof Refusal) return client;
  if (client.revision !== REVISION) return refusal;
  const elements = elementsOf(body);
  if (elements.length === 0) return new Refusal('validation.batch', { text: 'A batch holds at least one message.' });
  if (elements.length > MAX_BATCH)
    return new Refusal('validation.batch', { text: `A batch holds at most ${MAX_BATCH} messages; send several.` });
  return run(call, elements, ports);
}

async function run(batch: Call, elements: readonly Span[], { one, clock }: BatchPorts): Promise<WireAnswer> {
  const answers = await Promise.all(
    elements.map(async ({ start, end }) => {
      const call = elementOf(batch, batch.body!.subarray(start, end), clock());
      const { body } = await one(call);
      // Nothing answers a notification or a response, not even a no.
      return call.message && call.message.kind !== 'request' ? NOTHING : body;
    }),
  );
  const said = answers.filter((body) => body.length > 0);
  if (said.length === 0) return { status: 202, retryAfter: 0, body: NOTHING };
  const parts = said.flatMap((body, i) => [i === 0 ? OPEN : COMMA, body]);
  return { status: 200, retryAfter: 0, body: Buffer.concat([...parts, CLOSE]) };
}

const NOTHING: Uint8Array = new Uint8Array(0);
const [OPEN, COMMA, CLOSE] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')];

/** A call of its own that has come as far as its batch had before anybody knew what its body was. */
function elementOf(batch: Call, body: Uint8Array, now: Now): Call {
  const abort = new AbortController();
  const { way, arrived, head, source, events, endpoint, principal } = batch;
  return {
    id: uuidv7(now.utc),
    way,
    arrived,
    head,
    source,
    signal: AbortSignal.any([batch.signal, abort.signal]),
    cancel: () => abort.abort(),
    events,
    endpoint: endpoint!,
    principal: principal!,
    body,
  };
}

/** Where the elements of an array lie. Only for bytes a strict scan has found to be one valid JSON array. */
export function elementsOf(bytes: Uint8Array): readonly Span[] {
  const spans: Span[] = [];
  let depth = 0;
  let start = -1;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i]!;
    if (c === SPACE || c === TAB || c === LINE_FEED || c === RETURN) continue;
    const ends = depth === 1 && (c === COMMA_SIGN || c === CLOSE_ARRAY);
    if (ends && start >= 0) {
      spans.push({ start, end: i });
      start = -1;
    } else if (depth === 1 && start < 0 && !ends) start = i;
    if (c === QUOTE) i = endOfString(bytes, i);
    else if (c === OPEN_OBJECT || c === OPEN_ARRAY) depth++;
    else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) depth--;
  }
  return spans;
}

/** Index of the quote that ends the string which begins at `i`. */
function endOfString(bytes: Uint8Array, i: number): number {
  for (let k = i + 1; ; k++) {
    if (bytes[k] === BACKSLASH) k++;
    else if (bytes[k] === QUOTE || k >= bytes.length) return k;
  }
}

const [SPACE, TAB, LINE_FEED, RETURN] = [0x20, 0x09, 0x0a, 0x0d];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d];
const [QUOTE, BACKSLASH, COMMA_SIGN] = [0x22, 0x5c, 0x2c];
