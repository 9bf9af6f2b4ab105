import type { Answers } from './questions.ts';
import type { Refusal } from './refusal.ts';

/**
 * What a call carries, on one page. A call arrives with a head and a body nobody has read yet; each stage of
 * `pipeline.ts` leaves one of the `Slots` on it. Everything in `Head` and `Body` is attacker-controlled.
 */

/** Milliseconds. `utc` is the wall clock since 1970 (claims, records); `mono` is monotonic (durations, windows). */
export interface Now {
  readonly utc: number;
  readonly mono: number;
}

export const WAYS_IN = ['http', 'stdio', 'harden', 'admin'] as const;
export type WayIn = (typeof WAYS_IN)[number];

/** Revisions of MCP spoken on the front, newest first. Only the first is modern: stateless, `_meta` on every request. */
export const REVISIONS = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'] as const;
export type Revision = (typeof REVISIONS)[number];
export const MODERN_REVISION = REVISIONS[0];
/** Revisions that begin with `initialize`, newest first. */
export const LEGACY_REVISIONS = REVISIONS.slice(1) as readonly Exclude<Revision, typeof MODERN_REVISION>[];

/**
 * What this client says of itself: on each request (modern), or once and sealed into its session (legacy). Unverified:
 * it decides what the client can be asked and how answers look, never what it may do.
 */
export interface Client {
  readonly revision: Revision;
  /** Declared capabilities, `{}` when none. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** Name and version, trimmed; '' when it named none. */
  readonly name: string;
  readonly version: string;
  /** Least severity of log messages it asked for: on this request (modern), or for its session; null: none are wanted. */
  readonly logLevel: string | null;
  /** The legacy session this request belongs to, bound to its principal; null for modern and sessionless ones. */
  readonly session: Session | null;
}

export interface Session {
  /** 128 random bits, base64url. Not what the client holds: that is sealed. */
  readonly id: string;
  /** ms UTC. */
  readonly expiresAt: number;
}

/** Where a call stands in a chain of rounds (questions in the middle of it); `answers` null: the first round. */
export interface Round {
  readonly answers: Answers | null;
  /** Id of the approval that was used up in an earlier round of this very call, or null. */
  readonly grant: string | null;
}

/** The request head, before any body byte was read. */
export interface Head {
  /** HTTP version, as sent: `1.1`. */
  readonly version: string;
  /** HTTP method, as sent. */
  readonly method: string;
  /** Path of the request target, undecoded, without the query. */
  readonly path: string;
  readonly query: string;
  /** Lower-case names; where a name was repeated node joins or drops values: trust one only after transport.head, or read `rawHeaders`. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Names and values alternating, exactly as sent. */
  readonly rawHeaders: readonly string[];
  /** Address of the peer of the socket (never from a header). */
  readonly address: string;
  /** SHA-256 of the client certificate (base64url), when the peer proved one. */
  readonly certificate: string | null;
}

/** Reads the body once. Resolves with its bytes, or says why there are none. */
export interface BodySource {
  read(limit: { maxBytes: number; timeoutMs: number }): Uint8Array | BodyFault | Promise<Uint8Array | BodyFault>;
}
export const BODY_FAULTS = ['too_large', 'timeout', 'aborted'] as const;
export type BodyFault = (typeof BODY_FAULTS)[number];

export interface Actor {
  readonly issuer: string;
  readonly subject: string;
}

export interface Principal extends Actor {
  /** OAuth client id, or '' when the token names none. */
  readonly client: string;
  readonly tenant: string;
  readonly scopes: readonly string[];
  readonly groups: readonly string[];
  /** How possession of the credential was proved. */
  readonly proof: 'bearer' | 'dpop' | 'mtls' | 'none';
  /** Delegation chain (`act`), outermost first. */
  readonly actors: readonly Actor[];
  /** End of the credential's life, ms UTC. */
  readonly expiresAt: number;
  /** Opaque and stable for (tenant, issuer, subject): the key for windows, subject keys, ownership. */
  readonly key: string;
  /** Opaque, changes with anything a decision may read (scopes, groups, client, proof): the key for decision caches. */
  readonly authority: string;
}

/** Half-open byte range in `Message.bytes`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One strict JSON-RPC message. `params` is the parsed tree; whatever is forwarded is cut from `bytes` by span. */
export interface Message {
  readonly revision: Revision;
  readonly kind: 'request' | 'notification' | 'response';
  /** '' for a response. */
  readonly method: string;
  readonly id: string | number | null;
  /** What the method acts on: params.name, params.uri or params.taskId; '' when it acts on none. */
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly bytes: Uint8Array;
  readonly spans: {
    readonly id: Span | null;
    readonly method: Span | null;
    readonly params: Span | null;
    readonly name: Span | null;
    readonly arguments: Span | null;
    readonly meta: Span | null;
    /** Of a response: its result or error value. */
    readonly outcome: Span | null;
    /** Value spans of the members of params._meta, by name. */
    readonly metaMembers: ReadonlyMap<string, Span>;
  };
}

export const TARGET_KINDS = ['tool', 'prompt', 'resource', 'template', 'admin'] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];
export const EFFECTS = ['read', 'write', 'destructive'] as const;
export type Effect = (typeof EFFECTS)[number];
export const ERROR_MODES = ['generic', 'scrub', 'verbatim'] as const;
export type ErrorMode = (typeof ERROR_MODES)[number];

/** A reviewed, pinned tool, prompt, resource, template or admin operation. Never built from a live server. */
export interface Target {
  readonly kind: TargetKind;
  readonly tenant: string;
  /** Name of the registered server; 'gatewrit' for admin operations. */
  readonly server: string;
  /** Name (or URI, or URI template) at the upstream. */
  readonly name: string;
  /** Name on `/mcp`. On `/mcp/{server}` the original name is used. */
  readonly exposed: string;
  /** `server/name`: what people see in policy, CLI and log. */
  readonly key: string;
  /** SHA-256 (base64url) of the pinned definition. */
  readonly digest: string;
  /** SHA-256 (base64url) of the signed manifest it came from. */
  readonly manifest: string;
  readonly effect: Effect;
  /** Every scope this operation needs; all of them. */
  readonly scopes: readonly string[];
  /** Pinned definition as reviewed: for a tool name, title, description, inputSchema, outputSchema, annotations. */
  readonly definition: Readonly<Record<string, unknown>>;
  readonly limits: {
    /** Weight of one call in windows. */
    readonly cost: number;
    readonly maxArgumentBytes: number;
    readonly maxResultBytes: number;
    readonly maxConcurrent: number;
    readonly timeoutMs: number;
  };
  readonly errors: ErrorMode;
}

/** The arguments of a call. `view` is what policy and approvals look at; only upstream and redaction open `bytes()`. */
export interface Arguments {
  readonly view: Readonly<Record<string, unknown>>;
  /** SHA-256 (base64url) over the canonical token form (core/crypto/canonical.ts): key order and blanks do not matter. */
  readonly digest: string;
  /** Set when validation runs in observe mode and would have refused. */
  readonly wouldRefuse?: string;
  bytes(): Uint8Array;
}

export interface Obligations {
  /** Name of the approval rule that applies, or null. */
  readonly approval: string | null;
  /** Redaction profile forced by policy, or null for the default. */
  readonly redaction: string | null;
  /** Result cap in bytes forced by policy, or null. */
  readonly maxResultBytes: number | null;
}

export interface Decision {
  readonly obligations: Obligations;
  /** Ids of the policy rules that decided. */
  readonly rules: readonly string[];
  /** Version (digest) of the whole policy set that decided. */
  readonly policy: string;
  /** Set when authorization runs in observe mode and would have refused. */
  readonly wouldRefuse: string | null;
}

/** What redaction found, never the values: type, JSON path, rule, action. */
export interface Finding {
  readonly type: string;
  readonly path: string;
  readonly rule: string;
  readonly action: 'replaced' | 'masked' | 'blocked' | 'reported';
}

/** The approval record a call will use, or none needed, or the stored outcome of the same call within two minutes. */
export interface Approval {
  readonly use: 'none' | 'consume' | 'replay';
  readonly id: string | null;
  readonly approvers: readonly string[];
  /** Stored outcome (a JSON-RPC result object), only for `replay`. */
  readonly stored: Uint8Array | null;
  /** Bytes of the arguments that were approved; these are executed. Null unless `consume`. */
  readonly approved: Uint8Array | null;
}

/** A task of an upstream, as the sealed id says that the client has brought back (controls/registry/task-ids.ts). */
export interface TaskRef {
  /** The upstream's own id. */
  readonly id: string;
  /** What policy demanded of the answers of the call that began it. */
  readonly obligations: Pick<Obligations, 'redaction' | 'maxResultBytes'>;
}

/** The durable record that lets the call run. */
export interface Intent {
  /** Position in the physical journal. */
  readonly index: number;
  readonly id: string;
}

/** An upstream's answer: exactly one JSON value, `result` or `error` of a JSON-RPC response, as bytes. */
export interface Result {
  readonly kind: 'result' | 'error';
  /** Bytes of the `result` (or `error`) value alone. */
  readonly bytes: Uint8Array;
  /** Parsed lazily and kept: the tree of `bytes`. */
  view(): unknown;
  /** For audit: the diagnostics that were taken out of `bytes` by control errors, if any; sealed in the record. */
  readonly diagnostics: Uint8Array | null;
  /** Set on the state of a task: a failure stands in a member of it (core/mcp/tasks.ts). */
  readonly task?: true;
}

/** What leaves: the JSON value of `result` or `error`, and what was taken out of it. */
export interface Reply {
  readonly kind: 'result' | 'error';
  readonly bytes: Uint8Array;
  readonly findings: readonly Finding[];
  readonly diagnostics: Uint8Array | null;
  /** HTTP status of the answer that carries it. */
  readonly status: number;
}

/** An approval that has been used up by this call. The pipeline settles it after the outcome record, before the answer leaves. */
export interface Consumed {
  readonly id: string | null;
  /** Stores the outcome for identical repeats; `null` when the outcome is unknown. A no-op when no approval was needed. */
  settle(reply: Reply | null, now: Now): void | Promise<void>;
}

/** Position and identity of the durable outcome record. */
export interface Receipt {
  readonly index: number;
  readonly id: string;
  /** What the caller gets of it (core/mcp/receipt.ts); absent when receipts are off, or the record is nobody's alone. */
  readonly text?: string;
}

/** What each stage leaves on the call. A stage names the slots it needs; a misplaced stage does not compile. */
export interface Slots {
  /** Left by transport.head: the endpoint the path names, from the closed route list. */
  endpoint: Endpoint;
  /** Left by limits.door. */
  door: { readonly address: string };
  principal: Principal;
  /** Left by limits.principal: what is left in the tightest window. */
  budget: { readonly remaining: number };
  /** Left by transport.body. */
  body: Uint8Array;
  message: Message;
  /** Left by authentication.session. */
  client: Client;
  /**
   * Left by registry.resolve: a pinned target, or null. Nobody may act on it before authorization.visible. `task`: what
   * the request is about, when it is a task of that target.
   */
  candidate: { readonly target: Target | null; readonly task?: TaskRef };
  target: Target;
  /** Left by limits.target. */
  lease: { release(): void };
  arguments: Arguments;
  /** Left by validation.round. */
  round: Round;
  decision: Decision;
  /** `wouldRefuse`: set when redaction runs in observe mode and would have refused. */
  findings: { readonly list: readonly Finding[]; readonly wouldRefuse?: string };
  approval: Approval;
  intent: Intent;
  consumed: Consumed;
  result: Result;
  /** Left by errors: the result with diagnostics taken out. */
  scrubbed: Result;
  reply: Reply;
  receipt: Receipt;
}
export type SlotName = keyof Slots;

export interface Endpoint {
  /** `/mcp` serves all servers under exposed names; `/mcp/{server}` one server under original names. */
  readonly server: string | null;
  /** The protected resource this endpoint is, byte for byte what tokens name as audience. */
  readonly resource: string;
  readonly admin: boolean;
}

/** Takes one message of ours (a notification, or a question to a legacy client) to the client; already judged. */
export type EventSink = (message: Uint8Array) => void;

/** Says that nobody waits for a call any more: so much of an AbortSignal as calls need (core/cancellation.ts), and any of those. */
export interface CallSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

type Unfilled = { -readonly [K in SlotName]?: Slots[K] | undefined };

/** A call on its way. Slots are undefined until their stage has run; the type of a stage says which are there. */
export interface Call extends Unfilled {
  /** UUIDv7; also the correlation id in answer, log and record. */
  readonly id: string;
  readonly way: WayIn;
  readonly arrived: Now;
  readonly head: Head;
  readonly source: BodySource;
  readonly signal: CallSignal;
  /** Ends the call from outside: the client left (modern), or sent `notifications/cancelled` (legacy). */
  readonly cancel: () => void;
  /** Where notifications of the upstream go; null when this client cannot take them. */
  events: EventSink | null;
  /** Set when a stage refused. */
  refusal?: Refusal;
  /** Sealed id of the session this call has begun: goes out as `Mcp-Session-Id`. */
  opened?: string;
  /** Set where a call waits at its upstream for a next round: tells it that none will come. */
  unwanted?: () => void;
  /** Set by the front on a GET, for the stream of a legacy session. */
  stream?: StreamOpening;
}

/** How the stream of a GET begins (workflows/resuming.ts). */
export interface StreamOpening {
  /**
   * Sends the rest of the stream that `Last-Event-ID` names, if it is this principal's and session's. A promise for one
   * that ends by itself, kept at its end; null: what is said on this call goes on, or begins.
   */
  resume(): Promise<void> | null;
  /** Tells the client that there is a stream, before anything is said on it. */
  begin(): void;
}

/** A call on which the named slots have been left. */
export type CallWith<K extends SlotName> = Call & { readonly [P in K]: Slots[P] };
