import type { Call, Now } from './core/call.ts';
import { Flow } from './core/flow.ts';
import type { RefusalCode } from './core/mcp/refusals.ts';
import type { FinalStage, Stage } from './core/stage.ts';

/**
 * Which stages, in which order: the product on one page. The compiler refuses a line whose needs have not been left
 * by the lines above it. `test/boundaries.test.ts` keeps this file free of everything but order.
 */
export interface Stages {
  readonly transport: { readonly head: Stage<never, 'endpoint'>; readonly body: Stage<'endpoint' | 'principal', 'body'> };
  readonly limits: {
    readonly door: Stage<'endpoint', 'door'>;
    readonly principal: Stage<'principal', 'budget'>;
    readonly target: Stage<'principal' | 'target', 'lease'>;
  };
  readonly authentication: Stage<'endpoint' | 'door', 'principal'>;
  readonly validation: {
    readonly message: Stage<'endpoint' | 'principal' | 'body', 'message'>;
    readonly arguments: Stage<'message' | 'target', 'arguments'>;
  };
  readonly registry: {
    readonly resolve: Stage<'endpoint' | 'message' | 'principal', 'candidate'>;
    /** Lists and discovery, from pins, filtered by the same judgement as authorization.visible. */
    readonly list: Stage<'endpoint' | 'message' | 'principal', 'scrubbed'>;
  };
  readonly authorization: {
    readonly visible: Stage<'principal' | 'message' | 'candidate', 'target'>;
    readonly decide: Stage<'principal' | 'message' | 'target' | 'arguments', 'decision'>;
  };
  readonly redaction: {
    readonly request: Stage<'target' | 'arguments' | 'decision', 'findings'>;
    readonly reply: Stage<'principal' | 'scrubbed', 'reply'>;
  };
  readonly approval: {
    readonly check: Stage<'principal' | 'message' | 'target' | 'arguments' | 'decision', 'approval'>;
    readonly consume: Stage<'principal' | 'target' | 'arguments' | 'approval' | 'intent', 'consumed'>;
  };
  readonly audit: {
    readonly intent: Stage<'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval', 'intent'>;
    readonly outcome: FinalStage<'receipt'>;
  };
  readonly upstream: Stage<'endpoint' | 'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'approval' | 'intent' | 'consumed', 'result'>;
  readonly errors: Stage<'target' | 'result', 'scrubbed'>;
}

/** Judges one notification on its way to the client: the bytes that may go, or why it is dropped. */
export type EventJudge = (call: Call, notification: Uint8Array, now: Now) => Uint8Array | RefusalCode;

export interface EventJudges {
  readonly credentialAlive: EventJudge;
  readonly targetVisible: EventJudge;
  readonly budget: EventJudge;
  readonly redaction: EventJudge;
}

/** What every message goes through before anybody knows what it asks for. */
export function entryFlow(s: Stages) {
  return Flow.begin()
    .stage(s.transport.head)
    .stage(s.limits.door)
    .stage(s.authentication)
    .stage(s.limits.principal)
    .stage(s.transport.body)
    .stage(s.validation.message);
}

/** 1. A call: tools/call, prompts/get, resources/read, and every admin operation. */
export function callFlow(s: Stages) {
  return entryFlow(s)
    .stage(s.registry.resolve)
    .stage(s.authorization.visible)
    .stage(s.limits.target)
    .stage(s.validation.arguments)
    .stage(s.authorization.decide)
    .stage(s.redaction.request)
    .stage(s.approval.check)
    .stage(s.audit.intent)
    .stage(s.approval.consume)
    .stage(s.upstream)
    .stage(s.errors)
    .stage(s.redaction.reply);
}

/** 2. A list or discovery: answered from pins, never from a live server. */
export function listFlow(s: Stages) {
  return entryFlow(s).stage(s.registry.list).stage(s.redaction.reply);
}

/** 3. A stream opened (subscriptions/listen): the same as a list; what it honours is the acknowledgement. */
export const streamFlow = listFlow;

/** 4. An event to the client. A credential that ended or a target that was hidden since closes the way at once. */
export function eventFlow(j: EventJudges): readonly EventJudge[] {
  return [j.credentialAlive, j.targetVisible, j.budget, j.redaction];
}

/** 5. A request from an upstream to the client: none is relayed at this depth; the upstream reads "not supported". */
export const UPSTREAM_REQUESTS_RELAYED: readonly string[] = [];

/** 6. A response of the client to such a request: none can be open, so validation.message refuses it. */
export const CLIENT_RESPONSES_ACCEPTED = false;

/** Which flow a method takes. A method that stands in no list is unknown (validation.message). */
export const CALL_METHODS: readonly string[] = ['tools/call', 'prompts/get', 'resources/read', 'admin/call'];
export const LIST_METHODS: readonly string[] = [
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
];

/** Routes outside the principal rule: the whole list. Nothing else is answered before authentication. */
export const PUBLIC_ROUTES = {
  public: ['/.well-known/oauth-protected-resource', '/.well-known/mcp-capabilities', '/healthz'],
  admin: ['/.well-known/oauth-protected-resource', '/console', '/readyz', '/healthz'],
} as const;
