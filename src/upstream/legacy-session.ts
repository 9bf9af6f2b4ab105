import { ReceivedResult, readAnswer } from './answer.ts';
import type { Bridged } from './capabilities.ts';
import { keepOpen } from './keep-open.ts';
import { type LogLevel, mostVerbose } from './log-level.ts';
import { type Classified, changedList, type ListName, textOf } from './message-kind.ts';
import type { RunningCall } from './running-call.ts';
import { legacyHeaders, type Session } from './session.ts';
import { updatedResource, updateOf } from './updates.ts';
import { type Wire, WireFault } from './wire.ts';

export interface LegacySessionParts {
  readonly session: Session;
  readonly key: string;
  /** The principal's key; '' is this gateway itself. */
  readonly owner: string;
  readonly bridge: Bridged;
  readonly nextId: () => number;
  readonly mono: () => number;
  readonly onListChanged: (list: ListName) => void;
}

type Follower = (notification: Uint8Array) => void;

const SIDE_MS = 10_000;
const SIDE_BYTES = 64 * 1024;
const MAX_HEARD_BYTES = 1024 * 1024;
/** How long a session waits for its own stream before the first call goes out: it may be asked there. */
const OPEN_MS = 2_000;
/** Messages under way at once that have no answer. */
const MAX_SAYING = 64;
const REFUSED = '"error":{"code":-32601,"message":"Not supported by this client"}';

/** One legacy session: of one principal, and one set of capabilities it was opened with. */
export class LegacySession implements Session {
  readonly era = 'legacy';
  readonly wire: Wire;
  readonly sessionId: string | null;
  readonly revision: string;
  readonly capabilities: Session['capabilities'];
  readonly identity: string;
  readonly key: string;
  readonly owner: string;
  readonly bridge: Bridged;
  /** What runs on it, by our id. */
  readonly running = new Map<number, RunningCall>();
  /** ms monotonic. */
  usedAt: number;
  readonly headers: readonly string[];
  readonly #parts: LegacySessionParts;
  readonly #over = new AbortController();
  readonly #followers = new Map<string, Set<Follower>>();
  #level: LogLevel | null = null;
  #saying = 0;
  #hearing: Promise<boolean> | null = null;

  constructor(parts: LegacySessionParts) {
    const { session } = parts;
    this.#parts = parts;
    this.wire = session.wire;
    this.sessionId = session.sessionId;
    this.revision = session.revision;
    this.capabilities = session.capabilities;
    this.identity = session.identity;
    this.key = parts.key;
    this.owner = parts.owner;
    this.bridge = parts.bridge;
    this.usedAt = parts.mono();
    this.headers = legacyHeaders(session);
  }

  get busy(): boolean {
    return this.running.size > 0 || this.#followers.size > 0;
  }

  /** All that runs here waits for clients that may never come back. */
  get waits(): boolean {
    const calls = [...this.running.values()];
    return calls.length > 0 && calls.every(({ isWaiting }) => isWaiting) && this.#followers.size === 0;
  }

  /** Sends a message beside the calls. A server that makes us say more than it takes is not told the rest. */
  async say(message: Uint8Array): Promise<boolean> {
    if (this.#saying >= MAX_SAYING) return false;
    this.#saying++;
    const taken = await this.wire.notify(message, this.headers);
    this.#saying--;
    return taken;
  }

  /** Sends a request of ours beside the calls. */
  async ask(method: string, params: object): Promise<ReceivedResult | WireFault> {
    const id = this.#parts.nextId();
    const incoming = await this.wire.exchange({
      id,
      method,
      bytes: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params })),
      headers: this.headers,
      timeoutMs: SIDE_MS,
      maxBytes: SIDE_BYTES,
      signal: null,
      onOther: null,
    });
    return incoming instanceof WireFault ? incoming : readAnswer(incoming, id);
  }

  /** The level of a session is one for all its calls: the most verbose in use; lines are sorted out again per call. */
  async setLevel(): Promise<void> {
    const levels = [...this.running.values()].map(({ level }) => level);
    const wanted = mostVerbose(levels.filter((level) => level !== null));
    if (wanted === null || wanted === this.#level || this.capabilities['logging'] === undefined) return;
    this.#level = wanted;
    await this.ask('logging/setLevel', { level: wanted });
  }

  /**
   * Opens the stream on which the server speaks unasked, and keeps it. Resolves with whether there is one; carriers
   * that have only one stream always hear.
   */
  hear(): Promise<boolean> {
    const { hear } = this.wire;
    if (hear === null) return Promise.resolve(true);
    this.#hearing ??= new Promise((resolve) => {
      const timer = setTimeout(resolve, OPEN_MS, false);
      const once = async () => {
        const end = await hear.call(this.wire, {
          headers: this.headers,
          maxBytes: MAX_HEARD_BYTES,
          signal: this.#over.signal,
          onMessage: (message, read) => this.heard(message, read),
          onOpen: () => resolve(true),
        });
        // A status other than 200 says that there is no such stream here, or no such session any more.
        return end instanceof WireFault || end === 200;
      };
      void keepOpen(once, this.#over.signal, this.#parts.mono).finally(() => {
        clearTimeout(timer);
        resolve(false);
      });
    });
    return this.#hearing;
  }

  /** A message that came on no call's stream. */
  heard(message: Uint8Array, read: Classified): void {
    if (!read.spans) return;
    if (read.kind === 'request') return this.#asked(message, read);
    const list = changedList(message, read);
    // Pins are compared with what the gateway's own session is told: in another, lists may hang on its client.
    if (list !== null) return this.owner === '' ? this.#parts.onListChanged(list) : undefined;
    if (isLogLine(message, read)) return this.#logged(message, read);
    const uri = updatedResource(message, read);
    const followers = uri === null ? undefined : this.#followers.get(uri);
    if (followers) for (const follower of followers) follower(updateOf(uri!));
  }

  /** In a session of one principal a line is of the one call that runs. */
  #logged(message: Uint8Array, read: Classified): void {
    if (this.owner !== '') this.#onlyCall()?.other(message, read);
  }

  /** It names no call: it can only be about the one that runs, or nobody knows which (never a guess). */
  #asked(message: Uint8Array, read: Classified): void {
    const only = this.#onlyCall();
    if (only) return only.other(message, read);
    const id = textOf(message, read.spans!.id!);
    const answer = textOf(message, read.spans!.method!) === '"ping"' ? '"result":{}' : REFUSED;
    void this.say(Buffer.from(`{"jsonrpc":"2.0","id":${id},${answer}}`));
  }

  /**
   * The one call that runs. Calls whose upstream waits for an answer do not: a client that never comes back would keep
   * every later call of its own from asking. All calls of a session are of one principal.
   */
  #onlyCall(): RunningCall | null {
    const calls = [...this.running.values()];
    const active = calls.filter(({ isWaiting }) => !isWaiting);
    const [only, ...others] = active.length > 0 ? active : calls;
    return only && others.length === 0 ? only : null;
  }

  /** Follows resources until `signal` says so; each is subscribed to once, however many follow it. */
  async follow(
    uris: readonly string[],
    signal: AbortSignal,
    follower: Follower,
    onHonoured: (resources: readonly string[]) => void,
  ): Promise<void> {
    const declared = this.capabilities['resources'] as { subscribe?: unknown } | undefined;
    if (declared?.subscribe !== true || !(await this.hear())) return onHonoured([]);
    const honoured: string[] = [];
    for (const uri of uris) {
      const followers = this.#followers.get(uri) ?? new Set<Follower>();
      this.#followers.set(uri, followers);
      followers.add(follower);
      const answer = followers.size > 1 ? null : await this.ask('resources/subscribe', { uri });
      if (answer === null || (answer instanceof ReceivedResult && answer.kind === 'result')) honoured.push(uri);
      else this.#unfollow(uri, follower, false);
    }
    onHonoured(honoured);
    await new Promise<void>((resolve) => {
      const ends = AbortSignal.any([signal, this.#over.signal]);
      if (ends.aborted) resolve();
      else ends.addEventListener('abort', () => resolve(), { once: true });
    });
    for (const uri of honoured) this.#unfollow(uri, follower, true);
  }

  #unfollow(uri: string, follower: Follower, subscribed: boolean): void {
    const followers = this.#followers.get(uri);
    followers?.delete(follower);
    if (!followers || followers.size > 0) return;
    this.#followers.delete(uri);
    if (subscribed && !this.#over.signal.aborted) void this.ask('resources/unsubscribe', { uri });
  }

  /** It is over, from whichever side: nothing is heard any more, and who follows has to go elsewhere. */
  over(): void {
    this.#over.abort();
  }
}

const isLogLine = (message: Uint8Array, { kind, spans }: Classified) =>
  kind === 'notification' && textOf(message, spans!.method!) === '"notifications/message"';
