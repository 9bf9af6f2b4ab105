import type { Arguments, CallWith, Message } from '../../core/call.ts';
import { argumentsDigest, EMPTY_ARGUMENTS_DIGEST } from '../../core/mcp/arguments-digest.ts';
import { mcpNameSource } from '../../core/mcp/mcp-headers.ts';
import { type MessageSpans, type ScanLimits, scanMessage } from '../../core/mcp/scanner.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import type { Definitions } from './definitions.ts';
import { type Envelope, FAULT_CODES, isOurs, readEnvelope, refuse } from './envelope.ts';
import { headerOf, paramHeadersDisagree, standardHeadersDisagree } from './header-agreement.ts';
import { nameOf, requestShape } from './methods.ts';
import { readRevision } from './revision.ts';

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
      if (!isOurs(call.way)) {
        const revision = readRevision(envelope, headerOf(call.head, 'mcp-protocol-version'));
        if (revision instanceof Refusal) return revision;
        const disagreement = standardHeadersDisagree(envelope, call.head);
        if (disagreement !== null) return disagreement;
      }
      if (envelope.kind === 'request') {
        const shape = requestShape(envelope.method, call.way);
        if (shape === null) return new Refusal('validation.method', withId(envelope));
        const fault = shape(envelope.params);
        if (fault !== null) return refuse('validation.params', fault, envelope.idBytes);
      }
      return messageOf(bytes, spans, envelope);
    },
  };
}

function messageOf(bytes: Uint8Array, spans: MessageSpans, envelope: Envelope): Message {
  const members = spans.paramsMembers;
  const { kind, id, method, params } = envelope;
  return {
    revision: '2026-07-28',
    kind,
    method,
    id,
    name: kind === 'request' ? nameOf(method, params) : '',
    params,
    bytes,
    spans: {
      id: spans.id,
      method: spans.method,
      params: spans.params,
      name: members.get(mcpNameSource(method) === 'uri' ? 'uri' : 'name') ?? null,
      arguments: members.get('arguments') ?? null,
      meta: members.get('_meta') ?? null,
      outcome: null,
      metaMembers: spans.metaMembers,
    },
  };
}

function withId(envelope: Envelope): { readonly requestId?: Uint8Array } {
  return envelope.idBytes === null ? {} : { requestId: envelope.idBytes };
}

/** The arguments against the pinned definition: size, repeated headers, schema; then the digest approvals bind to. */
export function argumentsStage(definitions: Definitions): Stage<'message' | 'target', 'arguments'> {
  return {
    name: 'validation.arguments',
    leaves: 'arguments',
    run(call) {
      const { target } = call;
      const found = readArguments(call);
      const length = found.bytes.length;
      if (length > target.limits.maxArgumentBytes) {
        return new Refusal('validation.too_large', {
          text: `The arguments are larger than this tool accepts: at most ${target.limits.maxArgumentBytes} bytes.`,
          evidence: `${length} bytes`,
        });
      }
      if (target.kind === 'tool' && !isOurs(call.way)) {
        const disagreement = paramHeadersDisagree(target, call.head, found.view);
        if (disagreement !== null) return disagreement;
      }
      const hint = definitions.judgeOf(target)(found.view);
      if (hint !== null) {
        const text = `The arguments do not match the input schema. ${hint.text}.`;
        return new Refusal('validation.arguments', { path: hint.path, text, evidence: hint.text });
      }
      return {
        view: found.view,
        digest: found.bytes === NO_ARGUMENTS ? EMPTY_ARGUMENTS_DIGEST : argumentsDigest(found.bytes),
        bytes: () => found.bytes,
      } satisfies Arguments;
    },
  };
}

const NO_ARGUMENTS = Buffer.from('{}');

interface Found {
  readonly view: Readonly<Record<string, unknown>>;
  readonly bytes: Uint8Array;
}

/** What the caller passes: `arguments` as sent, `{}` when there are none, `{uri}` for a resource. */
function readArguments(call: CallWith<'message' | 'target'>): Found {
  const { message } = call;
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
