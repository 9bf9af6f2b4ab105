import {
  type Arguments,
  type Call,
  type CallWith,
  type Message,
  MODERN_REVISION,
  type Revision,
} from '../../core/call.ts';
import { argumentsDigest, EMPTY_ARGUMENTS_DIGEST } from '../../core/mcp/arguments-digest.ts';
import { readRevision } from '../../core/mcp/era.ts';
import { type MessageSpans, type ScanLimits, scanDocument, scanMessage } from '../../core/mcp/scanner.ts';
import { declaresTasks, isTaskMethod, TASKS_EXTENSION } from '../../core/mcp/tasks.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import { completionArguments, judgeCompletion } from './completion.ts';
import type { Definitions } from './definitions.ts';
import { type Envelope, FAULT_CODES, isOurs, readEnvelope, refuse } from './envelope.ts';
import { headerOf, paramHeadersDisagree, standardHeadersDisagree } from './header-agreement.ts';
import { nameOf, nameSpanOf, requestShape, takesArguments } from './methods.ts';

/** One strict message: scan, envelope, era, headers, method, shape of params. The body is read here and nowhere else. */
export function messageStage(limits: ScanLimits): Stage<'endpoint' | 'principal' | 'body', 'message'> {
  return {
    name: 'validation.message',
    leaves: 'message',
    run(call) {
      const bytes = call.body;
      const spans = scanMessage(bytes, limits);
      if (typeof spans === 'string') return new Refusal(FAULT_CODES[spans], { evidence: `scan: ${spans}` });
      const envelope = readEnvelope(bytes, spans);
      if (envelope instanceof Refusal) return envelope;
      const revision = isOurs(call.way)
        ? MODERN_REVISION
        : readRevision(envelope, headerOf(call.head, 'mcp-protocol-version'));
      if (revision instanceof Refusal) return revision;
      const fault = judge(envelope, revision, call);
      if (fault !== null) return revision === MODERN_REVISION ? fault : inLegacyWords(fault);
      return messageOf(bytes, spans, envelope, revision, limits);
    },
  };
}

/** What this revision demands of the message and its headers. */
function judge(envelope: Envelope, revision: Revision, { way, head }: Pick<Call, 'way' | 'head'>): Refusal | null {
  if (!isOurs(way)) {
    const disagreement = standardHeadersDisagree(envelope, head, revision === MODERN_REVISION);
    if (disagreement !== null) return disagreement;
  } else if (envelope.kind === 'response') return new Refusal('validation.envelope', withId(envelope));
  if (envelope.kind !== 'request') return null;
  const shape = requestShape(envelope.method, way, revision);
  if (shape === null) return new Refusal('validation.method', withId(envelope));
  if (isTaskMethod(envelope.method) && !declaresTasks(capabilitiesIn(envelope.params)))
    return new Refusal('validation.capability', { ...NEEDS_TASKS, ...withId(envelope) });
  const fault = shape(envelope.params);
  return fault === null ? null : refuse('validation.params', fault, envelope.idBytes);
}

/** What a method of the tasks extension needs of a client, on this very request (protocol.md 1.11). */
const NEEDS_TASKS = Object.freeze({ data: { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } } });

function capabilitiesIn({ _meta }: Readonly<Record<string, unknown>>): unknown {
  return (_meta as Readonly<Record<string, unknown>> | undefined)?.['io.modelcontextprotocol/clientCapabilities'];
}

function inLegacyWords({ code, facts }: Refusal): Refusal {
  return new Refusal(code, { ...facts, legacy: true });
}

function messageOf(
  bytes: Uint8Array,
  spans: MessageSpans,
  envelope: Envelope,
  revision: Revision,
  limits: ScanLimits,
): Message {
  const members = spans.paramsMembers;
  const { kind, id, method, params } = envelope;
  const asks = kind === 'request';
  return {
    revision,
    kind,
    method,
    id,
    name: asks ? nameOf(method, params) : '',
    params,
    bytes,
    spans: {
      id: spans.id,
      method: spans.method,
      params: spans.params,
      name: asks ? nameSpanOf(method, params, spans, bytes, limits) : null,
      arguments: (takesArguments(method) && members.get('arguments')) || null,
      meta: members.get('_meta') ?? null,
      outcome: spans.result ?? spans.error,
      metaMembers: spans.metaMembers,
    },
  };
}

function withId(envelope: Envelope): { readonly requestId?: Uint8Array } {
  return envelope.idBytes === null ? {} : { requestId: envelope.idBytes };
}

/**
 * The arguments against the pinned definition: size, repeated headers, schema; then the digest approvals bind to.
 * @param observe arguments that break their schema go on, and the record says so; never those of our own operations
 */
export function argumentsStage(
  definitions: Definitions,
  limits: ScanLimits,
  observe = false,
): Stage<'message' | 'target', 'arguments'> {
  return {
    name: 'validation.arguments',
    leaves: 'arguments',
    run(call) {
      const { target } = call;
      if (isTaskMethod(call.message.method)) return taskArguments(call, limits);
      const found = readArguments(call, limits);
      const length = found.bytes.length;
      if (length > target.limits.maxArgumentBytes) {
        return new Refusal('validation.too_large', {
          text: `The arguments are larger than this tool accepts: at most ${target.limits.maxArgumentBytes} bytes.`,
          evidence: `${length} bytes`,
        });
      }
      if (target.kind === 'tool' && !isOurs(call.way)) {
        const modern = call.message.revision === MODERN_REVISION;
        const disagreement = paramHeadersDisagree(target, call.head, found.view, modern);
        if (disagreement !== null) return disagreement;
      }
      const hint =
        call.message.method === COMPLETE
          ? judgeCompletion(target, found.view)
          : definitions.judgeOf(target)(found.view);
      const observed = hint !== null && observe && target.kind !== 'admin';
      if (hint !== null && !observed) {
        const text = `The arguments do not match the input schema. ${hint.text}.`;
        return new Refusal('validation.arguments', { path: hint.path, text, evidence: hint.text });
      }
      const left: Arguments = {
        view: found.view,
        digest: found.bytes === NO_ARGUMENTS ? EMPTY_ARGUMENTS_DIGEST : argumentsDigest(found.bytes),
        bytes: () => found.bytes,
      };
      return observed ? { ...left, wouldRefuse: 'validation.arguments' } : left;
    },
  };
}

/**
 * The arguments of the tool were judged when the task began and are not here: which task, and the answers to its
 * questions, of which only the upstream knows what they must look like.
 */
function taskArguments({ message, target }: CallWith<'message' | 'target'>, limits: ScanLimits): Arguments | Refusal {
  const { method, name: taskId, params } = message;
  const answers = method === 'tasks/update' ? answersOf(message, limits) : null;
  const id = Buffer.from(`{"taskId":${JSON.stringify(taskId)}`);
  const bytes = answers === null ? Buffer.concat([id, URI_TAIL]) : Buffer.concat([id, ANSWERS, answers, URI_TAIL]);
  if (bytes.length > target.limits.maxArgumentBytes)
    return new Refusal('validation.too_large', { text: 'The answers are larger than this tool accepts.' });
  const view = answers === null ? { taskId } : { taskId, inputResponses: params['inputResponses'] };
  return { view, digest: argumentsDigest(bytes), bytes: () => bytes };
}

function answersOf({ bytes, spans: { params } }: Message, limits: ScanLimits): Uint8Array | null {
  if (params === null) return null;
  const inside = bytes.subarray(params.start, params.end);
  const document = scanDocument(inside, limits);
  const span = typeof document === 'string' ? undefined : document.members?.get('inputResponses');
  return span ? inside.subarray(span.start, span.end) : null;
}

const ANSWERS = Buffer.from(',"inputResponses":');
const COMPLETE = 'completion/complete';
const NO_ARGUMENTS = Buffer.from('{}');

interface Found {
  readonly view: Readonly<Record<string, unknown>>;
  readonly bytes: Uint8Array;
}

/** What the caller passes: `arguments` as sent, `{}` when there are none, `{uri}` for a resource. */
function readArguments(call: CallWith<'message' | 'target'>, limits: ScanLimits): Found {
  const { message } = call;
  if (message.method === COMPLETE) return completionArguments(message, limits);
  if (message.method === 'resources/read') {
    const uri = message.spans.name!;
    const bytes = Buffer.concat([URI_HEAD, message.bytes.subarray(uri.start, uri.end), URI_TAIL]);
    return { view: { uri: message.name }, bytes };
  }
  const span = message.spans.arguments;
  if (span === null) return { view: {}, bytes: NO_ARGUMENTS };
  return {
    view: message.params['arguments'] as Readonly<Record<string, unknown>>,
    bytes: message.bytes.subarray(span.start, span.end),
  };
}

const URI_HEAD = Buffer.from('{"uri":');
const URI_TAIL = Buffer.from('}');
