import type { Client, Result, Span } from '../core/call.ts';
import { type Edit, objectEdits, patch } from '../core/mcp/patch.ts';
import { type DocumentSpans, isObjectAt, scanDocument } from '../core/mcp/scanner.ts';
import { isTaskMethod } from '../core/mcp/tasks.ts';
import { treeOf } from '../core/mcp/tree.ts';
import type { InputRequired } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { lacking, readInputRequired, readUrlElicitations } from './asked.ts';
import { type Bridged, declarable } from './capabilities.ts';
import { classify, ownId, textOf } from './message-kind.ts';
import type { UpstreamEra } from './outgoing.ts';
import type { UpstreamRequest } from './request.ts';
import { type TaskNames, taskEdits } from './tasks.ts';
import { type Incoming, WireFault } from './wire.ts';

/** A result or error value as it came, parsed only when somebody looks inside. */
export class ReceivedResult implements Result {
  readonly kind: 'result' | 'error';
  readonly bytes: Uint8Array;
  readonly diagnostics = null;
  readonly task?: true;
  /** Strictly scanned within a message in which every name is spelled without escapes. */
  readonly plainNames: boolean;
  #view: unknown;
  #parsed = false;

  constructor(kind: 'result' | 'error', bytes: Uint8Array, task = false, plainNames = false) {
    this.kind = kind;
    this.bytes = bytes;
    this.plainNames = plainNames;
    if (task) this.task = true;
  }

  view(): unknown {
    if (!this.#parsed) {
      this.#view = treeOf(Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length).toString('utf8'));
      this.#parsed = true;
    }
    return this.#view;
  }

  /** Its members; none when it is no object: a server may say `null` where every other one says what it is. */
  members(): Readonly<Record<string, unknown>> {
    const view = this.view();
    return isPlainObject(view) ? view : NO_MEMBERS;
  }
}

const NO_MEMBERS = Object.freeze({});

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
    return new ReceivedResult(
      'result',
      bytes.subarray(spans.result.start, spans.result.end),
      false,
      !spans.escapedNames,
    );
  if (spans.error && !spans.result)
    return new ReceivedResult('error', bytes.subarray(spans.error.start, spans.error.end));
  return new WireFault('protocol', true, 'the answer is neither a result nor an error');
}

const COMPLETE = Buffer.from('"complete"');
const PRIVATE = Buffer.from('"private"');
const ZERO = Buffer.from('0');
const COMPLETE_FIRST = Buffer.from('{"resultType":"complete"');
const COMPLETE_LAST = Buffer.from(',"resultType":"complete"}');
const META = Buffer.from('"_meta"');
const OUR_MARKS = 'gatewrit/';

/**
 * An answer as revision 2026-07-28 wants it: `resultType` there and known (protocol.md 1.3), a read never public and
 * never to be kept (1.10), a missing resource -32602. Marks in `_meta` under our name are taken out: only this gateway
 * may say that an approval is needed, or that an outcome is a repeat.
 * @param bridge what the upstream was told this client can be asked
 * @param extensions those the operator lets through to it
 */
export function dressAnswer(
  answer: ReceivedResult,
  request: UpstreamRequest,
  era: UpstreamEra,
  bridge: Bridged,
  extensions: readonly string[] = [],
): ReceivedResult | InputRequired | Refusal | WireFault {
  const { method } = request.message;
  if (answer.kind === 'error') return dressError(answer, request, era, bridge, extensions);
  if (era === 'modern' && method === 'tools/call' && isPlainlyComplete(answer)) return answer;
  const { bytes } = answer;
  const document = scanDocument(bytes);
  if (typeof document === 'string' || !document.members)
    return new WireFault('protocol', true, 'the result is not an object');
  const type = document.members.get('resultType');
  const meta = document.members.get('_meta');
  const clean = meta && withoutOurMarks(bytes.subarray(meta.start, meta.end));
  if (era === 'modern' && type) {
    const said = textOf(bytes, type);
    if (said === '"input_required"') {
      const own = meta && isObjectAt(bytes, meta) ? bytes.subarray(meta.start, meta.end) : null;
      return readInputRequired(bytes, document, method, bridge, clean ?? own);
    }
    const { tasks } = request;
    if (said === '"task"' && method === 'tools/call' && tasks && bridge.tasks)
      return dressTask(bytes, document, tasks, bridge, 'begun');
    if (said !== '"complete"') return new WireFault('protocol', true, 'a result type this gateway does not relay');
  }
  if (isTaskMethod(method)) {
    if (method !== 'tasks/get') return new ReceivedResult('result', ACKNOWLEDGED);
    return request.tasks ? dressTask(bytes, document, request.tasks, bridge, 'asked') : NO_TASK;
  }
  const edits = memberEdits(bytes, document, {
    ...(era === 'legacy' || !type ? { resultType: COMPLETE } : {}),
    ...(method === 'resources/read' ? { ttlMs: ZERO, cacheScope: PRIVATE } : {}),
  });
  if (meta && clean) edits.push({ span: meta, replacement: clean });
  return edits.length === 0 ? answer : new ReceivedResult('result', patch(bytes, edits));
}

/**
 * An object that says so in its first or last member, and in which `_meta` is nowhere named: needs no second scan. In
 * strict JSON those bytes can only be a member of the root. Anything else, whatever it is, is looked at closely.
 */
function isPlainlyComplete({ bytes, plainNames }: ReceivedResult): boolean {
  if (!plainNames) return false;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const first = COMPLETE_FIRST.length;
  const last = text.length - COMPLETE_LAST.length;
  const complete =
    text.length > first &&
    (text.compare(COMPLETE_FIRST, 0, first, 0, first) === 0 ||
      (text[0] === COMPLETE_FIRST[0] && last > 0 && text.compare(COMPLETE_LAST, 0, undefined, last) === 0));
  return complete && !text.includes(META);
}

const ACKNOWLEDGED = Buffer.from('{"resultType":"complete"}');
const NO_TASK = new WireFault('protocol', true, 'a task of a client that takes none');

/** The state of a task, and the result of its call in it where there is one. */
export function dressTask(
  bytes: Uint8Array,
  document: DocumentSpans,
  tasks: TaskNames,
  bridge: Bridged,
  where: 'begun' | 'asked' | 'told',
): ReceivedResult | Refusal | WireFault {
  const edits = taskEdits(bytes, document, tasks, bridge, where === 'begun');
  if (!Array.isArray(edits)) return edits;
  if (where !== 'told' && !document.members!.has('resultType'))
    edits.push(...memberEdits(bytes, document, { resultType: COMPLETE }));
  for (const marked of metasIn(bytes, document)) {
    const clean = withoutOurMarks(bytes.subarray(marked.start, marked.end));
    if (clean) edits.push({ span: marked, replacement: clean });
  }
  return new ReceivedResult('result', patch(bytes, edits), true);
}

/** `_meta` of the state and of the result in it. */
function metasIn(bytes: Uint8Array, { members }: DocumentSpans): Span[] {
  const [own, result] = [members!.get('_meta'), members!.get('result')];
  const inner = result && scanDocument(bytes.subarray(result.start, result.end));
  const meta = inner && typeof inner !== 'string' ? inner.members?.get('_meta') : undefined;
  const at = result?.start ?? 0;
  return [...(own ? [own] : []), ...(meta ? [{ start: meta.start + at, end: meta.end + at }] : [])];
}

/** Codes by which an upstream says that our request was wrong, not the client's (protocol.md 1.5). */
const OUR_FAULTS = [-32020, -32021, -32022];
const CAPABILITY_MISSING = -32021;

function dressError(
  answer: ReceivedResult,
  { message, target, client }: UpstreamRequest,
  era: UpstreamEra,
  bridge: Bridged,
  extensions: readonly string[],
): ReceivedResult | InputRequired | Refusal | WireFault {
  const error = answer.view() as { code?: unknown; data?: unknown } | null;
  const code = error?.code;
  if (era === 'legacy') {
    const urls = readUrlElicitations(error ?? {}, bridge);
    if (urls) return urls;
    if (code === -32002) return missingResource(answer, message.name || target.name);
  }
  if (era === 'modern' && code === CAPABILITY_MISSING) {
    const required = (error?.data as { requiredCapabilities?: unknown } | undefined)?.requiredCapabilities;
    if (isPlainObject(required)) return saysLacking(required, client, extensions);
  }
  if (era === 'modern' && OUR_FAULTS.includes(code as number))
    return new Refusal('upstream.protocol', {
      evidence: `refused our request with ${code}`,
      text: 'The tool server refused the request of this gateway; the call was not made.',
    });
  return answer;
}

/** An extension that the client has, and we kept from the upstream, is our limit and not the client's. */
function saysLacking(
  required: Readonly<Record<string, unknown>>,
  { capabilities }: Client,
  allowed: readonly string[],
): Refusal {
  const { extensions: wanted } = required;
  const { extensions: has } = capabilities;
  const kept =
    isPlainObject(wanted) && isPlainObject(has) && Object.keys(wanted).every((name) => Object.hasOwn(has, name));
  if (kept && Object.keys(required).length === 1)
    return new Refusal('upstream.protocol', {
      evidence: 'answered -32021 for an extension that settings do not let through',
      text: 'The tool server wants an extension that is not let through to it here; the call was not made.',
    });
  const lacks = declarable(required, allowed);
  if (lacks !== null) return lacking(lacks, 'answered -32021');
  return new Refusal('upstream.protocol', {
    evidence: 'answered -32021 for nothing that a client could declare',
    text: 'The tool server wants something that no client can declare here; the call was not made.',
  });
}

/** "Resource not found" in the words of 2026-07-28: `data.uri` says which. */
function missingResource(answer: ReceivedResult, uri: string): ReceivedResult {
  const document = scanDocument(answer.bytes);
  if (typeof document === 'string' || !document.members) return answer;
  const wanted = {
    code: Buffer.from('-32602'),
    ...(isPlainObject((answer.view() as { data?: unknown }).data)
      ? {}
      : { data: Buffer.from(JSON.stringify({ uri })) }),
  };
  return new ReceivedResult('error', patch(answer.bytes, memberEdits(answer.bytes, document, wanted)));
}

const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

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
