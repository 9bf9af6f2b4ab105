import { type Call, MODERN_REVISION, type Reply, type Revision } from '../call.ts';
import type { Refusal } from '../stage.ts';
import { downLevel, RESOURCE_NOT_FOUND } from './down-level.ts';
import { RECEIPT_MARK, withReceipt } from './receipt.ts';
import { rowOf, type WireRow } from './refusals.ts';
import { isTaskMethod } from './tasks.ts';

/** What goes out over any way in: an HTTP status, the seconds a caller should wait (0: none), and one JSON-RPC message. */
export interface WireAnswer {
  readonly status: number;
  readonly retryAfter: number;
  readonly body: Uint8Array;
}

const RESULT_HEAD = Buffer.from('{"jsonrpc":"2.0","id":');
const RESULT = Buffer.from(',"result":');
const ERROR = Buffer.from(',"error":');
const TAIL = Buffer.from('}');
const NO_BODY = Buffer.alloc(0);

/** Inside, everything is modern; only here does an answer take the words of the client's revision. */
function revisionFor({ client, message }: Call): Revision {
  return client?.revision ?? message?.revision ?? MODERN_REVISION;
}

/**
 * A reply as one JSON-RPC response. The id is the caller's own lexeme; the value is passed on byte for byte, to a
 * client of an older revision without what that does not know, and a result with the receipt of its outcome.
 */
export function encodeReply(call: Call, reply: Reply): WireAnswer {
  // Only a request is answered; anything else is acknowledged by its status alone.
  if (reply.bytes.length === 0 || call.message?.kind !== 'request')
    return { status: reply.status, retryAfter: 0, body: NO_BODY };
  const revision = revisionFor(call);
  const value = revision === MODERN_REVISION ? reply.bytes : downLevel(reply, call.message.method, revision);
  const receipt = EMPTY_RESULTS.has(call.message.method) ? undefined : call.receipt?.text;
  const body =
    reply.kind === 'error'
      ? [RESULT_HEAD, idBytes(call), ERROR, value, TAIL]
      : [RESULT_HEAD, idBytes(call), RESULT, ...(receipt ? withReceipt(value, receipt) : [value]), TAIL];
  return { status: reply.status, retryAfter: 0, body: Buffer.concat(body) };
}

/** Acknowledgements of older revisions are `{}`, and clients hold us to it. */
const EMPTY_RESULTS: ReadonlySet<string> = new Set([
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

/** The caller's request id, byte for byte, or null when none was read. */
function idBytes(call: Call, refusal?: Refusal): Uint8Array {
  const message = call.message;
  if (!message?.spans.id) return refusal?.facts.requestId ?? NO_ID;
  return message.bytes.subarray(message.spans.id.start, message.spans.id.end);
}
const NO_ID = Buffer.from('null');

/**
 * A refusal as the table says. `authorization.unknown` says nothing of why: the same bytes for what is hidden and what
 * is not there, with no correlation id (architecture.md section 4, "What the caller learns").
 */
export function encodeRefusal(call: Call, refusal: Refusal): WireAnswer {
  const modern = refusal.facts.legacy !== true && revisionFor(call) === MODERN_REVISION;
  const row = rowOf(refusal.code, modern);
  // What is no request has no answer in band: it was not taken.
  const status = row.status === 200 && call.message && call.message.kind !== 'request' ? 400 : row.status;
  const facts = refusal.facts;
  const retryAfter = facts.retryAfterMs === undefined ? 0 : Math.max(1, Math.ceil(facts.retryAfterMs / 1000));
  const idLexeme = idBytes(call, refusal);
  const id = Buffer.from(idLexeme).toString();
  if (row.form === 'tool' && call.message?.method === 'tools/call') {
    const text = JSON.stringify({ ...(modern ? COMPLETE : {}), ...toolRefusal(call, refusal, row) });
    return { status, retryAfter, body: Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":${text}}`) };
  }
  const known = refusal.code === 'authorization.unknown' ? asked(call) : { code: row.word, correlationId: call.id };
  const data = { ...known, ...approvalFacts(refusal), ...facts.data, ...(facts.path ? { path: facts.path } : {}) };
  const hasId = idLexeme !== NO_ID;
  const error = {
    code: modern ? row.rpc : legacyCode(call, refusal, row),
    message: [
      facts.text ?? textFor(call, refusal) ?? row.text,
      ...hints(refusal),
      // The only thing that helps here is the id, and `data` does not reach everybody.
      ...(refusal.code === 'errors.internal' ? [`Correlation id: ${call.id}.`] : []),
    ].join(' '),
    ...(Object.keys(data).length > 0 ? { data } : {}),
  };
  return {
    status,
    retryAfter,
    body: Buffer.from(`{"jsonrpc":"2.0",${hasId ? `"id":${id},` : ''}"error":${JSON.stringify(error)}}`),
  };
}

const COMPLETE = { resultType: 'complete' };

/** The specification wants the URI of a resource that was not found repeated, as it was asked for. */
function asked({ message }: Call): object {
  return message?.method.startsWith('resources/') ? { uri: message.name } : {};
}

/** A task that is not there, or not this caller's. */
function textFor({ message }: Call, { code }: Refusal): string | null {
  return code === 'authorization.unknown' && message && isTaskMethod(message.method) ? 'Unknown task.' : null;
}

/** A resource that is not there has a code of its own in older revisions. */
function legacyCode(call: Call, refusal: Refusal, row: WireRow): number {
  const asksResource = call.message?.method.startsWith('resources/') ?? false;
  return refusal.code === 'authorization.unknown' && asksResource ? RESOURCE_NOT_FOUND : row.rpc;
}

/** Text a model can recover from: the word, what happened, where, how long to wait, which approval; then machine-readable `_meta`. */
function toolRefusal(call: Call, refusal: Refusal, row: WireRow): object {
  const { text, path } = refusal.facts;
  const parts = [`${row.word}: ${text ?? row.text}`, ...hints(refusal), `Correlation id: ${call.id}.`];
  return {
    content: [{ type: 'text', text: parts.join(' ') }],
    isError: true,
    _meta: {
      'gatewrit/code': row.word,
      'gatewrit/correlationId': call.id,
      ...(path ? { 'gatewrit/path': path } : {}),
      ...approvalMeta(refusal),
      ...(call.receipt?.text ? { [RECEIPT_MARK]: call.receipt.text } : {}),
    },
  };
}

/**
 * What mends the call, in words: a client often hands its model the message alone, without headers and `data`. Which
 * scopes are missing is told to whoever already sees the operation, and stands in the challenge too.
 */
function hints({ code, facts }: Refusal): string[] {
  const { path, retryAfterMs, approval, scopes } = facts;
  const said: string[] = [];
  if (path) said.push(`Argument: ${path}.`);
  if (code === 'authorization.insufficient_scope' && scopes?.length) said.push(`It needs: ${scopes.join(' ')}.`);
  if (retryAfterMs !== undefined) said.push(`Wait ${Math.max(1, Math.ceil(retryAfterMs / 1000))} s.`);
  if (approval) said.push(`Approval: ${approval.id}, open until ${new Date(approval.expiresAt).toISOString()}.`);
  return said;
}

function approvalMeta(refusal: Refusal): object {
  const approval = refusal.facts.approval;
  return approval
    ? {
        'gatewrit/approval': {
          id: approval.id,
          status: 'pending',
          expiresAt: new Date(approval.expiresAt).toISOString(),
        },
      }
    : {};
}

function approvalFacts(refusal: Refusal): object {
  const approval = refusal.facts.approval;
  return approval ? { approval: { id: approval.id, expiresAt: new Date(approval.expiresAt).toISOString() } } : {};
}
