import { CHANGING_LISTS, type ChangingList } from '../controls/registry/index.ts';
import type { Call, CallWith, Now, Target } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import type { RefusalCode } from '../core/mcp/refusals.ts';
import { parseSpan, scanMessage } from '../core/mcp/scanner.ts';
import type { Refusal } from '../core/stage.ts';
import type { ListChanges } from './list-changes.ts';

export type StreamCall = CallWith<'endpoint' | 'principal' | 'client'>;

/** An upstream's word that it will tell of these URIs. */
export interface Subscription {
  readonly honoured: readonly string[];
  end(): void;
}

/** One question to an upstream; a URI belongs to the one it was asked for in, from before the answer. */
interface Asked {
  /** Null: there is no answer yet. */
  subscription: Subscription | null;
  /** Resolves when there is one, or none is waited for any more. */
  readonly settled: Promise<void>;
}

/** What is heard on a stream is judged each time anew: by these, and by what the caller can see at that moment. */
export interface StreamPorts {
  readonly changes: ListChanges;
  /** Takes news of a list through the judges of events; the lists themselves are compared before. */
  readonly judgeList: (call: Call, message: Uint8Array, now: Now) => Uint8Array | RefusalCode;
  /** Takes news of one target through all judges of events. */
  readonly judge: (call: Call, message: Uint8Array, now: Now) => Uint8Array | RefusalCode;
  /** The target that serves a URI at this call's endpoint, when this principal may read of it at all. */
  readonly targetOf: (call: StreamCall, uri: string, now: Now) => Target | null;
  /** Whether this principal may hear of a URI of a target it knows of: as whoever may read it. Null: it may. */
  readonly allows: (call: StreamCall, target: Target, uri: string, now: Now) => Refusal | null;
  /** What this caller's lists say of one server. */
  readonly outline: (call: StreamCall, server: string, now: Now) => ReadonlyMap<ChangingList, string>;
  readonly servers: () => readonly string[];
  /** Null: this server cannot be subscribed to. */
  readonly subscribe: (
    server: string,
    interest: { readonly principal: StreamCall['principal']; readonly resources: readonly string[] },
    onEvent: (notification: Uint8Array) => void,
  ) => Promise<Subscription | null>;
  readonly hold: (call: StreamCall) => { release(): void } | Refusal;
  /** Resolves when it is in the log that this stream was opened. @throws when it never will be */
  readonly record: (call: StreamCall, meta: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly clock: () => Now;
  readonly log: Log;
}

/** How long an upstream may take to say what it will tell of; the acknowledgement waits for it. */
const SUBSCRIBE_MS = 5_000;
/** Events that come before the acknowledgement has gone out. */
const MAX_EARLY = 64;
const MAX_TIMER_MS = 2 ** 31 - 1;
const NOTHING: ReadonlyMap<ChangingList, string> = new Map();

/** One open stream: what is to be heard on it, and until when. Whoever opened it says how it looks on the wire. */
export class OpenStream {
  readonly #call: StreamCall;
  readonly #ports: StreamPorts;
  readonly #lists: ReadonlySet<ChangingList>;
  /** JSON text of a member `"_meta":{…},` in every message, or ''. */
  readonly #meta: string;
  /** By server: what this caller found when it was last told. */
  readonly #found = new Map<string, ReadonlyMap<ChangingList, string>>();
  /** By URI, as this client named it. */
  readonly #subscriptions = new Map<string, Asked>();
  readonly #ending: (() => void)[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #early: (() => void)[] | null = [];
  #over = false;

  constructor(call: StreamCall, ports: StreamPorts, what: { lists: Iterable<ChangingList>; meta: string }) {
    this.#call = call;
    this.#ports = ports;
    this.#lists = new Set(what.lists);
    this.#meta = what.meta;
    const now = ports.clock();
    for (const server of ports.servers()) this.#found.set(server, ports.outline(call, server, now));
    this.#ending.push(ports.changes.listen((server, noticed) => this.#changed(server, noticed)));
    // Nothing outlives the credential it was opened with, and nothing the client that opened it.
    const left = Math.min(MAX_TIMER_MS, Math.max(0, call.principal.expiresAt - now.utc));
    const timer = setTimeout(() => this.end(), left);
    timer.unref();
    const end = () => this.end();
    call.signal.addEventListener('abort', end, { once: true });
    this.#ending.push(
      () => clearTimeout(timer),
      () => call.signal.removeEventListener('abort', end),
    );
    if (call.signal.aborted) this.end();
  }

  /** Resolves when nothing more will be heard. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Told when it ends. */
  onEnd(act: () => void): void {
    if (this.#over) act();
    else this.#ending.push(act);
  }

  get over(): boolean {
    return this.#over;
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const act of this.#ending.splice(0)) act();
    for (const { subscription } of this.#subscriptions.values()) subscription?.end();
    this.#subscriptions.clear();
    this.#ended.resolve();
  }

  /**
   * Begins to hear of these URIs. Resolves with those an upstream will tell of; what this principal cannot see is left
   * out the same way as what does not exist.
   */
  async subscribe(uris: readonly string[]): Promise<string[]> {
    if (this.#over) return [];
    const now = this.#ports.clock();
    const byServer = new Map<string, string[]>();
    const before: Promise<void>[] = [];
    for (const uri of new Set(uris)) {
      const asked = this.#subscriptions.get(uri);
      if (asked) before.push(asked.settled);
      const target = asked ? null : this.#ports.targetOf(this.#call, uri, now);
      if (target && this.#ports.allows(this.#call, target, uri, now) === null)
        byServer.set(target.server, [...(byServer.get(target.server) ?? []), uri]);
    }
    const honoured = await Promise.all([...byServer].map(([server, resources]) => this.#at(server, resources)));
    await Promise.all(before);
    const all = new Set(honoured.flat());
    return uris.filter((uri, i) => all.has(uri) && uris.indexOf(uri) === i);
  }

  /** Sends no more of this URI. */
  unsubscribe(uri: string): void {
    const asked = this.#subscriptions.get(uri);
    this.#subscriptions.delete(uri);
    if (asked && ![...this.#subscriptions.values()].includes(asked)) asked.subscription?.end();
  }

  /** The opening is over: what was heard meanwhile goes out. */
  acknowledged(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const act of early) act();
  }

  async #at(server: string, resources: readonly string[]): Promise<readonly string[]> {
    const { promise: settled, resolve: settle } = Promise.withResolvers<void>();
    const asked: Asked = { subscription: null, settled };
    for (const uri of resources) this.#subscriptions.set(uri, asked);
    const subscription = await this.#answerOf(server, resources);
    // Whoever unsubscribed meanwhile, and a stream that has ended, has taken the URI out again.
    const own = resources.filter((uri) => this.#subscriptions.get(uri) === asked);
    const honoured = own.filter((uri) => subscription?.honoured.includes(uri));
    for (const uri of own) if (!honoured.includes(uri)) this.#subscriptions.delete(uri);
    if (honoured.length === 0) subscription?.end();
    else asked.subscription = subscription;
    settle();
    return honoured;
  }

  /** Null: there is none, or it comes too late, and is ended then. */
  async #answerOf(server: string, resources: readonly string[]): Promise<Subscription | null> {
    const { subscribe, log } = this.#ports;
    const { principal } = this.#call;
    const answer = subscribe(server, { principal, resources }, (event) => this.#heard(server, event)).catch((cause) => {
      log.error('upstream could not be subscribed to', { server }, cause);
      return null;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), SUBSCRIBE_MS);
    });
    const subscription = await Promise.race([answer, late]);
    clearTimeout(timer);
    if (subscription !== 'late') return subscription;
    void answer.then((one) => one?.end());
    return null;
  }

  #changed(server: string, noticed: ReadonlySet<ChangingList>): void {
    if (this.#over) return;
    const before = this.#found.get(server) ?? NOTHING;
    const found = this.#ports.outline(this.#call, server, this.#ports.clock());
    this.#found.set(server, found);
    for (const list of CHANGING_LISTS) {
      if (!this.#lists.has(list)) continue;
      // A server this caller finds nothing of changes as if it were not there.
      if (before.get(list) === found.get(list) && !(noticed.has(list) && found.has(list))) continue;
      this.later(() => this.#send(this.#call, 'judgeList', `notifications/${list}/list_changed`, ''));
    }
  }

  /** One word of an upstream, attacker-controlled: only that a resource changed, and only of what was asked for. */
  #heard(server: string, notification: Uint8Array): void {
    const uri = updatedUri(notification);
    if (uri === null || this.#over) return;
    this.later(() => {
      if (!this.#covers(uri)) return;
      const target = this.#ports.targetOf(this.#call, uri, this.#ports.clock());
      if (target?.server !== server) return;
      const allowed = () => this.#ports.allows(this.#call, target, uri, this.#ports.clock()) === null;
      const call = { ...this.#call, target };
      this.#send(call, 'judge', 'notifications/resources/updated', `"uri":${JSON.stringify(uri)}`, allowed);
    });
  }

  /** The URI itself, or one below it: a server may tell of a part of what was subscribed to. */
  #covers(uri: string): boolean {
    if (this.#subscriptions.has(uri)) return true;
    return this.#subscriptions.keys().some((one) => uri.startsWith(one.endsWith('/') ? one : `${one}/`));
  }

  /** Now, or as soon as the opening is over. */
  later(act: () => void): void {
    if (this.#early === null) act();
    else if (this.#early.length < MAX_EARLY) this.#early.push(act);
  }

  /** @param allowed asked last: a server can name addresses without end, and each one new to policy costs */
  #send(call: Call, judge: 'judge' | 'judgeList', method: string, members: string, allowed = () => true): void {
    if (this.#over) return;
    const params = [this.#meta, members].filter((part) => part !== '').join(',');
    const message = Buffer.from(
      `{"jsonrpc":"2.0","method":"${method}"${params === '' ? '' : `,"params":{${params}}`}}`,
    );
    const left = this.#ports[judge](call, message, this.#ports.clock());
    if (left === 'authentication.expired') this.end();
    if (typeof left !== 'string' && allowed()) this.#call.events?.(left);
  }
}

function updatedUri(notification: Uint8Array): string | null {
  const spans = scanMessage(notification);
  if (typeof spans === 'string' || !spans.method || spans.id) return null;
  if (parseSpan(notification, spans.method) !== 'notifications/resources/updated') return null;
  const span = spans.paramsMembers.get('uri');
  const uri = span && parseSpan(notification, span);
  return typeof uri === 'string' ? uri : null;
}
