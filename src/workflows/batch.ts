import type { Call, CallWith, Client, Now, Span } from '../core/call.ts';
import { Cancellation } from '../core/cancellation.ts';
import { uuidv7 } from '../core/ids.ts';
import { splitBatch } from '../core/mcp/batch.ts';
import type { ScanLimits } from '../core/mcp/scanner.ts';
import { encodeRefusal, type WireAnswer } from '../core/mcp/wire.ts';
import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';

/** The only revision that has batches (protocol.md 1.6). */
const REVISION = '2025-03-26';
const MAX_MESSAGES = 50;
/** Of all answers together: those that are there are kept until the last one is. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export interface BatchPorts {
  readonly session: Stages['authentication']['session'];
  /** Takes one message of a batch through its own flow, from its own limits on. */
  readonly one: (call: Call) => Promise<WireAnswer>;
  /** Those its body was scanned with. */
  readonly limits: ScanLimits;
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
  // Who sent it: a lost connection cancels nothing of it.
  call.client = client;
  const elements = splitBatch(body, ports.limits, MAX_MESSAGES);
  if (typeof elements === 'string')
    return new Refusal('validation.batch', {
      text: `A batch holds 1 to ${MAX_MESSAGES} messages.`,
      evidence: elements,
    });
  return run(call, elements, ports);
}

async function run(batch: Call, elements: readonly Span[], { one, clock }: BatchPorts): Promise<WireAnswer> {
  let size = 0;
  const answers = await Promise.all(
    elements.map(async ({ start, end }) => {
      const call = elementOf(batch, batch.body!.subarray(start, end), clock());
      const { body } = await one(call);
      // Nothing answers a notification or a response, not even a no.
      if (call.message && call.message.kind !== 'request') return NOTHING;
      if (size + body.length > MAX_ANSWER_BYTES) return encodeRefusal(call, tooLarge()).body;
      size += body.length;
      return body;
    }),
  );
  const said = answers.filter((body) => body.length > 0);
  if (said.length === 0) return { status: 202, retryAfter: 0, body: NOTHING };
  const parts = said.flatMap((body, i) => [i === 0 ? OPEN : COMMA, body]);
  return { status: 200, retryAfter: 0, body: Buffer.concat([...parts, CLOSE]) };
}

/** It has run and is recorded so; only its answer has no room here. */
function tooLarge(): Refusal {
  return new Refusal('upstream.too_large', {
    text: `The answers of this batch are larger than ${MAX_ANSWER_BYTES} bytes together; the call has run.`,
  });
}

const NOTHING: Uint8Array = new Uint8Array(0);
const [OPEN, COMMA, CLOSE] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')];

/** A call of its own that has come as far as its batch had before anybody knew what its body was. */
function elementOf(batch: Call, body: Uint8Array, now: Now): Call {
  const cancellation = new Cancellation();
  const cancel = () => cancellation.abort();
  batch.signal.addEventListener('abort', cancel, { once: true });
  if (batch.signal.aborted) cancel();
  const { way, arrived, head, source, events, endpoint, principal } = batch;
  return {
    id: uuidv7(now.utc),
    way,
    arrived,
    head,
    source,
    signal: cancellation,
    cancel,
    events,
    endpoint: endpoint!,
    principal: principal!,
    body,
  };
}
