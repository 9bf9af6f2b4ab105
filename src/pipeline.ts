import type { Call, Message, Now } from './core/call.ts';
import { type AnyStage, Flow } from './core/flow.ts';
import type { RefusalCode } from './core/mcp/refusals.ts';
import { type FinalStage, Refusal, type Stage } from './core/stage.ts';

/**
 * Which stages, in which order: the product on one page. The compiler refuses a line whose needs have not been left
 * by the lines above it. `test/boundaries.test.ts` keeps this file free of everything but order.
 */
export interface Stages {
  readonly transport: {
    readonly head: Stage<never, 'endpoint'>;
    readonly body: Stage<'endpoint' | 'principal', 'body'>;
  };
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
    readonly intent: Stage<
      'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval',
      'intent'
    >;
    readonly outcome: FinalStage<'receipt'>;
  };
  readonly upstream: Stage<
    'endpoint' | 'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'approval' | 'intent' | 'consumed',
    'result'
  >;
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

/*
 * 3. A stream opened (subscriptions/listen): entry, then what the principal may hear of. Not served at this depth: the
 *    method ends in `unknownMethod`, and discovery promises no change notices.
 */

/** 4. An event to the client. A credential that ended or a target that was hidden since closes the way at once. */
export function eventFlow(j: EventJudges): readonly EventJudge[] {
  return [j.credentialAlive, j.targetVisible, j.budget, j.redaction];
}

/*
 * 5. A request from an upstream to the client: none is relayed at this depth; the upstream reads "not supported"
 *    (upstream/stdio-runner.ts), because we declare no capability to it.
 * 6. A response of the client to such a request: none can be open, so validation.message refuses it, after authentication.
 */

/** Which flow a method takes. A method that stands in neither list is refused as unknown. */
const CALL_METHODS: readonly string[] = ['tools/call', 'prompts/get', 'resources/read', 'admin/call'];
const LIST_METHODS: readonly string[] = [
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
];

/** A notification of the client is taken and recorded; none changes anything at this depth (cancelling is closing the stream). */
const accepted: Stage<'message', 'reply'> = {
  name: 'notification',
  leaves: 'reply',
  run: () => ({ kind: 'result', bytes: new Uint8Array(0), findings: [], diagnostics: null, status: 202 }),
};

const unknownMethod: Stage<'message', 'reply'> = {
  name: 'method',
  leaves: 'reply',
  run: () => new Refusal('validation.method'),
};

/**
 * All flows behind the entry, made once: what a message takes after everybody knows what it is. `wrap` sees every stage
 * (the bench measures with it); it must not change what a stage does.
 */
export function flowsAfterEntry(s: Stages, wrap: (stage: AnyStage) => AnyStage) {
  const entry = entryFlow(s);
  const rest = (flow: { readonly stages: readonly AnyStage[] }) => flow.stages.slice(entry.stages.length).map(wrap);
  const [calls, lists] = [rest(callFlow(s)), rest(listFlow(s))];
  const [notifications, unknown] = [rest(entry.stage(accepted)), rest(entry.stage(unknownMethod))];
  return {
    entry: entry.stages.map(wrap),
    of({ kind, method }: Message): readonly AnyStage[] {
      if (kind === 'notification') return notifications;
      return CALL_METHODS.includes(method) ? calls : LIST_METHODS.includes(method) ? lists : unknown;
    },
  };
}

/** Routes outside the principal rule, with what lies below them: the whole list. Nothing else is answered before authentication. */
export const PUBLIC_ROUTES = {
  public: ['/.well-known/oauth-protected-resource', '/healthz'],
  admin: ['/.well-known/oauth-protected-resource', '/console', '/readyz', '/healthz'],
} as const;
