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
  readonly authentication: {
    readonly principal: Stage<'endpoint' | 'door', 'principal'>;
    /** Which client this is: said on the request (modern), or in the sealed session it names (legacy), which must be its own. */
    readonly session: Stage<'endpoint' | 'principal', 'client'>;
  };
  readonly validation: {
    readonly message: Stage<'endpoint' | 'principal' | 'body', 'message'>;
    readonly arguments: Stage<'message' | 'target', 'arguments'>;
    /** Opens the state of a repeated request: ours, this principal's, for this very call, once. */
    readonly round: Stage<'endpoint' | 'principal' | 'message' | 'client' | 'target' | 'arguments', 'round'>;
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
    readonly check: Stage<'principal' | 'message' | 'target' | 'arguments' | 'round' | 'decision', 'approval'>;
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
    | 'endpoint'
    | 'principal'
    | 'message'
    | 'client'
    | 'candidate'
    | 'target'
    | 'arguments'
    | 'round'
    | 'decision'
    | 'approval'
    | 'intent'
    | 'consumed',
    'result'
  >;
  readonly errors: Stage<'message' | 'target' | 'result', 'scrubbed'>;
  /** What a legacy session is told without any server: initialize, ping, logging/setLevel; its notifications; its end. */
  readonly sessions: {
    readonly local: Stage<'endpoint' | 'principal' | 'message' | 'client', 'scrubbed'>;
    readonly notified: Stage<'principal' | 'message' | 'client', 'reply'>;
    readonly ended: Stage<'principal' | 'client', 'reply'>;
  };
  readonly streams: {
    /** subscriptions/listen: leaves its reply when the stream ends. */
    readonly listen: Stage<'endpoint' | 'principal' | 'message' | 'client', 'reply'>;
    /** GET of a legacy session: leaves its reply when the stream ends. */
    readonly opened: Stage<'endpoint' | 'principal' | 'client', 'reply'>;
    /** resources/subscribe and resources/unsubscribe of a legacy session. */
    readonly subscribed: Stage<'endpoint' | 'principal' | 'message' | 'client' | 'target', 'reply'>;
  };
  /** A response of a legacy client to a question of ours. */
  readonly answered: Stage<'endpoint' | 'principal' | 'message' | 'client', 'reply'>;
}

/** Judges one notification on its way to the client: the bytes that may go, or why it is dropped. */
export type EventJudge = (call: Call, notification: Uint8Array, now: Now) => Uint8Array | RefusalCode;

export interface EventJudges {
  readonly credentialAlive: EventJudge;
  readonly targetVisible: EventJudge;
  readonly budget: EventJudge;
  readonly redaction: EventJudge;
}

/** What every request goes through, whatever its method. */
function arrivalFlow(s: Stages) {
  return Flow.begin()
    .stage(s.transport.head)
    .stage(s.limits.door)
    .stage(s.authentication.principal)
    .stage(s.limits.principal);
}

/** What every message goes through before anybody knows what it asks for. */
export function entryFlow(s: Stages) {
  return arrivalFlow(s).stage(s.transport.body).stage(s.validation.message).stage(s.authentication.session);
}

/** A request without a message: GET and DELETE of a legacy session. */
export function bodilessFlow(s: Stages) {
  return arrivalFlow(s).stage(s.authentication.session);
}

/** 1. A call: tools/call and its task, prompts/get, resources/read, completion/complete, and every admin operation. */
export function callFlow(s: Stages) {
  return entryFlow(s)
    .stage(s.registry.resolve)
    .stage(s.authorization.visible)
    .stage(s.limits.target)
    .stage(s.validation.arguments)
    .stage(s.validation.round)
    .stage(s.authorization.decide)
    .stage(s.redaction.request)
    .stage(s.approval.check)
    .stage(s.audit.intent)
    .stage(s.approval.consume)
    .stage(s.upstream)
    .stage(s.errors)
    .stage(s.redaction.reply);
}

/** 2. A list or discovery: answered from pins, never from a live server; and what a legacy session is told by us alone. */
export function listFlow(s: Stages) {
  return entryFlow(s).stage(s.registry.list).stage(s.redaction.reply);
}
export function localFlow(s: Stages) {
  return entryFlow(s).stage(s.sessions.local).stage(s.redaction.reply);
}

/** 3. A stream opened: what may be heard on it is judged event by event (4). */
export function listenFlow(s: Stages) {
  return entryFlow(s).stage(s.streams.listen);
}
export function openFlow(s: Stages) {
  return bodilessFlow(s).stage(s.streams.opened);
}
export function subscribeFlow(s: Stages) {
  return entryFlow(s).stage(s.registry.resolve).stage(s.authorization.visible).stage(s.streams.subscribed);
}

/** 4. An event to the client. A credential that ended or a target that was hidden since closes the way at once. */
export function eventFlow(j: EventJudges): readonly EventJudge[] {
  return [j.credentialAlive, j.targetVisible, j.budget, j.redaction];
}

/*
 * 5. A question of an upstream to the client: only what this client declared, through the judges of 4
 *    (workflows/questions.ts).
 */

/** 6. A response of a legacy client to such a question; its notifications; the end of its session. */
export function responseFlow(s: Stages) {
  return entryFlow(s).stage(s.answered);
}
export function notificationFlow(s: Stages) {
  return entryFlow(s).stage(s.sessions.notified);
}
export function endFlow(s: Stages) {
  return bodilessFlow(s).stage(s.sessions.ended);
}

/** Which flow a request takes. A method that stands in no list is refused as unknown. */
const CALL_METHODS: readonly string[] = [
  'tools/call',
  'prompts/get',
  'resources/read',
  'completion/complete',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
  'admin/call',
];
const LIST_METHODS: readonly string[] = [
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
];
/** Of legacy sessions alone; validation.message knows no such method in a modern message. */
const LOCAL_METHODS: readonly string[] = ['initialize', 'ping', 'logging/setLevel'];
const SUBSCRIBE_METHODS: readonly string[] = ['resources/subscribe', 'resources/unsubscribe'];

const unknownMethod: Stage<'message', 'reply'> = {
  name: 'method',
  leaves: 'reply',
  run: () => new Refusal('validation.method'),
};

/** The handshake stands alone: what comes with it would be judged before there is a session. */
const notInitialize: Stage<'message' | 'client', 'client'> = {
  name: 'batch',
  leaves: 'client',
  run: ({ message, client }) =>
    message.method === 'initialize'
      ? new Refusal('validation.envelope', { text: 'initialize cannot be part of a batch.' })
      : client,
};

/**
 * All flows, made once. `wrap` sees every stage (the bench measures with it); it must not change what a stage does.
 */
export function flowsOf(s: Stages, wrap: (stage: AnyStage) => AnyStage) {
  const entry = entryFlow(s);
  const after = (beginning: { readonly stages: readonly AnyStage[] }, flow: { readonly stages: readonly AnyStage[] }) =>
    flow.stages.slice(beginning.stages.length).map(wrap);
  const [calls, lists, local] = [after(entry, callFlow(s)), after(entry, listFlow(s)), after(entry, localFlow(s))];
  const [listens, subscriptions] = [after(entry, listenFlow(s)), after(entry, subscribeFlow(s))];
  const [responses, notifications] = [after(entry, responseFlow(s)), after(entry, notificationFlow(s))];
  const unknown = after(entry, entry.stage(unknownMethod));
  // What is done once for a whole batch: where it goes, who sends it, its bytes.
  const once: readonly unknown[] = [s.transport.head, s.authentication.principal, s.transport.body];
  const element = entry.stage(notInitialize).stages.filter((stage) => !once.includes(stage));
  const bodiless = { GET: openFlow(s).stages.map(wrap), DELETE: endFlow(s).stages.map(wrap) };
  return {
    entry: entry.stages.map(wrap),
    /** Of one message of a batch, which brings endpoint, principal and body with it. */
    element: element.map(wrap),
    /** Of a request without a message, whole; null: this one brings a message. transport.head has the last word. */
    bodiless({ way, head }: Pick<Call, 'way' | 'head'>): readonly AnyStage[] | null {
      if (way !== 'http') return null;
      return head.method === 'GET' ? bodiless.GET : head.method === 'DELETE' ? bodiless.DELETE : null;
    },
    /** What a message takes after everybody knows what it is. */
    of({ kind, method }: Message): readonly AnyStage[] {
      if (kind === 'notification') return notifications;
      if (kind === 'response') return responses;
      if (CALL_METHODS.includes(method)) return calls;
      if (LIST_METHODS.includes(method)) return lists;
      if (method === 'subscriptions/listen') return listens;
      if (LOCAL_METHODS.includes(method)) return local;
      return SUBSCRIBE_METHODS.includes(method) ? subscriptions : unknown;
    },
  };
}

/** Routes outside the principal rule, with what lies below them: the whole list. Nothing else is answered before authentication. */
export const PUBLIC_ROUTES = {
  public: ['/.well-known/oauth-protected-resource', '/healthz'],
  admin: ['/.well-known/oauth-protected-resource', '/console', '/readyz', '/healthz'],
} as const;
