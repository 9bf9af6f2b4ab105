import type { Message, Span, Target } from '../core/call.ts';
import { InternalError } from '../core/internal-error.ts';
import { ITSELF } from '../core/itself.ts';
import { type Edit, type NewMember, objectEdits, patch } from '../core/mcp/patch.ts';
import { NO_BOUNDS, parseSpan, scanDocument } from '../core/mcp/scanner.ts';
import type { Answers } from '../core/questions.ts';
import type { Bridged } from './capabilities.ts';
import { LOG_LEVEL, levelOf } from './log-level.ts';
import { textOf } from './message-kind.ts';
import type { UpstreamRequest } from './request.ts';
import { isTraceParent, isTraceState } from './trace.ts';

export const UPSTREAM_ERAS = ['modern', 'legacy'] as const;
export type UpstreamEra = (typeof UPSTREAM_ERAS)[number];

export const MODERN = '2026-07-28';
const RESERVED = 'io.modelcontextprotocol/';
const PROGRESS = 'progressToken';
/** What a client puts into `_meta` that must not travel on: our own marks, and baggage (protocol.md 1.14). */
const KEPT_BACK = ['gatewrit/', 'baggage'];

const OWN_NAME = `"${RESERVED}clientInfo":${JSON.stringify(ITSELF)}`;
const modernMeta = (capabilities: string) =>
  `"${RESERVED}protocolVersion":"${MODERN}","${RESERVED}clientCapabilities":${capabilities},${OWN_NAME}`;
const SILENT_META = modernMeta('{}');
/** Nearly every call says no more than this. */
const SILENT = Buffer.from(`{${SILENT_META}}`);
const NONE = Buffer.from('{}');
const NO_EDITS: readonly Edit[] = [];

/**
 * The message that goes out: the client's own bytes with id, name, `_meta` and (for an approved call) arguments
 * replaced; nothing is re-serialised. Other members of `params` stay behind: nobody judged them, and an approval is not
 * bound to them. A later round of a call brings the answers and the state of the round before (modern upstreams only).
 * @param bridge what this client can be asked, as the upstream is told
 */
export function outgoingMessage(request: UpstreamRequest, id: number, era: UpstreamEra, bridge: Bridged): Uint8Array {
  const { message, target } = request;
  const { spans } = message;
  const edits: Edit[] = [{ span: spans.id!, replacement: Buffer.from(String(id)) }];
  const meta = outgoingMeta(request, id, era, bridge);
  const insert: NewMember[] = [];
  if (spans.meta) edits.push({ span: spans.meta, replacement: meta });
  else if (meta !== NONE) insert.push({ name: '_meta', value: meta });
  if (request.answers && era === 'modern') insert.push(...roundMembers(request.answers, message.method));
  for (const edit of memberEdits(message, insert)) edits.push(edit);
  const task = request.tasks?.id ?? null;
  if (message.method === 'completion/complete') edits.push(...refEdits(message, target.name));
  else if (task !== null && spans.name)
    edits.push({ span: spans.name, replacement: Buffer.from(JSON.stringify(task)) });
  else if (spans.name && target.kind !== 'resource' && target.kind !== 'template' && message.name !== target.name)
    edits.push({ span: spans.name, replacement: spelled(target) });
  if (request.approved && spans.arguments) edits.push({ span: spans.arguments, replacement: request.approved });
  return patch(message.bytes, edits);
}

/** Names at the upstream as JSON, found by their pin; gone when the pin is. */
const names = new WeakMap<Target, Uint8Array>();

function spelled(target: Target): Uint8Array {
  const known = names.get(target);
  if (known) return known;
  const name = Buffer.from(JSON.stringify(target.name));
  names.set(target, name);
  return name;
}

/** Members of `params` that somebody judges; of others nobody knows what they would do. */
const NO_MORE: readonly string[] = [];
const JUDGED_MORE: Readonly<Record<string, readonly string[]>> = {
  'completion/complete': ['ref', 'argument', 'context'],
};

/** Takes members out of `params` that nobody judged, and puts `insert` in. Usually there are none of either. */
function memberEdits({ bytes, method, params, spans }: Message, insert: readonly NewMember[]): readonly Edit[] {
  if (spans.params === null) return NO_EDITS;
  let unjudged = 0;
  for (const _ in params) unjudged++;
  if (spans.name !== null) unjudged--;
  if (spans.arguments !== null) unjudged--;
  if (spans.meta !== null) unjudged--;
  if (unjudged <= 0) return insert.length === 0 ? NO_EDITS : objectEdits(bytes, spans.params, { insert });
  const more = JUDGED_MORE[method] ?? NO_MORE;
  const judged = [spans.name, spans.arguments, spans.meta].filter((span) => span !== null);
  const remove = [...membersOf(bytes, spans.params)]
    .filter(([name, span]) => !more.includes(name) && judged.every((one) => one.start !== span.start))
    .map(([, span]) => span);
  return objectEdits(bytes, spans.params, { remove, insert });
}

/** Members of the object at a span, with their spans in `bytes`. */
function membersOf(bytes: Uint8Array, { start, end }: Span): ReadonlyMap<string, Span> {
  const document = scanDocument(bytes.subarray(start, end), NO_BOUNDS);
  // With none found, what nobody judged would stay in.
  if (typeof document === 'string' || document.members === null)
    throw new InternalError('upstream.unread', 'a message that was judged could not be read again; report this');
  return new Map(
    [...document.members].map(([name, span]) => [name, { start: span.start + start, end: span.end + start }]),
  );
}

/** What is completed is named in `params.ref`: by the upstream's own name, as everywhere. */
function refEdits({ bytes, spans }: Message, name: string): Edit[] {
  const ref = spans.params && membersOf(bytes, spans.params).get('ref');
  if (!ref) return [];
  const members = membersOf(bytes, ref);
  const span = members.get('name') ?? members.get('uri');
  return span ? [{ span, replacement: Buffer.from(JSON.stringify(name)) }] : [];
}

/** `inputResponses` and `requestState` of a later round: both byte for byte what was given. */
function roundMembers({ given, state }: Answers, method: string): NewMember[] {
  const members: NewMember[] = [];
  if (given.size === 0 && method === 'tasks/update') members.push({ name: 'inputResponses', value: NO_ANSWERS });
  if (given.size > 0) {
    const parts = [...given].flatMap(([key, { bytes }], i) => [
      Buffer.from(`${i === 0 ? '{' : ','}${JSON.stringify(key)}:`),
      bytes,
    ]);
    members.push({ name: 'inputResponses', value: Buffer.concat([...parts, Buffer.from('}')]) });
  }
  if (state !== null) members.push({ name: 'requestState', value: Buffer.from(JSON.stringify(state)) });
  return members;
}

const NO_ANSWERS = Buffer.from('{}');

/** Members the client sent go on verbatim, but for reserved ones (ours now) and those kept back; progress under our own token. */
function outgoingMeta(request: UpstreamRequest, id: number, era: UpstreamEra, bridge: Bridged): Uint8Array {
  const { bytes, spans } = request.message;
  let text = '';
  if (era === 'modern') {
    text = bridge.json === '{}' ? SILENT_META : modernMeta(bridge.json);
    const level = levelOf(request);
    if (level !== null) text += `,"${LOG_LEVEL}":"${level}"`;
  }
  spans.metaMembers.forEach((span, name) => {
    if (name.startsWith(RESERVED) || KEPT_BACK.some((prefix) => name.startsWith(prefix))) return;
    if ((name === 'traceparent' || name === 'tracestate') && !isTraced(request.message, name)) return;
    const value = name === PROGRESS ? String(id) : textOf(bytes, span);
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${value}`;
  });
  if (text === SILENT_META) return SILENT;
  return text === '' ? NONE : Buffer.from(`{${text}}`);
}

/** A state without a parent means nothing, and a parent that is not well formed has none. */
function isTraced({ bytes, spans: { metaMembers } }: Message, name: string): boolean {
  const parent = metaMembers.get('traceparent');
  if (!parent || !isTraceParent(parseSpan(bytes, parent))) return false;
  return name === 'traceparent' || isTraceState(parseSpan(bytes, metaMembers.get(name)!));
}

/** The token by which this client knows its call's progress, as it stood in the message; null when it asked for none. */
export function progressTokenOf(request: UpstreamRequest): Uint8Array | null {
  const span = request.message.spans.metaMembers.get(PROGRESS);
  return span ? request.message.bytes.subarray(span.start, span.end) : null;
}
