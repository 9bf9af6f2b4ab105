import type { Registry } from '../controls/registry/index.ts';
import type { Now } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import type { UpstreamServer } from '../upstream/server.ts';
import { WireFault } from '../upstream/wire.ts';

/** Wait before looking again at a server that was lost for the n-th time. */
const RETRY_MS = [0, 500, 2_000, 10_000, 30_000];
/** A server that says it changed whenever it is looked at is looked at this often in a row, then only after a wait. */
const LOOKS_IN_A_ROW = 3;
/** A server that can be compared is, at once, as often as this within CALM_MS: who adds tools often is not held back. */
const PROMPT_LOOKS = 20;
/**
 * How long a look at all servers is waited for. The start and every reload wait for one, and each page of a list has a time
 * limit of its own: a server that drips pages would keep the gateway from coming up, or a new policy from holding.
 */
const PATIENCE_MS = 30_000;
/** After this long without a loss the next one counts as the first. */
const CALM_MS = 60_000;

export interface WatchParts {
  readonly servers: ReadonlyMap<string, Pick<UpstreamServer, 'introspect'>>;
  readonly registry: Pick<Registry, 'observe' | 'forget'>;
  readonly clock: () => Now;
  readonly log: Log;
  /** A look has ended, whatever it found. */
  readonly onLooked?: (server: string) => void;
  readonly patienceMs?: number;
}

/**
 * Compares every live server with its pins: at the start, at every change notice, and again and again. What differs is
 * quarantined by the registry; a server that cannot be asked keeps what was observed of it, its calls fail by themselves.
 */
export class ServerWatch {
  readonly #servers: WatchParts['servers'];
  readonly #registry: WatchParts['registry'];
  readonly #clock: () => Now;
  readonly #log: Log;
  readonly #onLooked: (server: string) => void;
  readonly #patienceMs: number;
  readonly #looking = new Map<string, Promise<void>>();
  /** Servers that changed while a look was running: that look may have seen the old state. */
  readonly #again = new Set<string>();
  /** How often in a row a server was lost, and when last (ms monotonic). */
  readonly #losses = new Map<string, number>();
  readonly #calmSince = new Map<string, number>();
  /** Servers whose last look was believed: what was said since is all that has to be compared. */
  readonly #compared = new Set<string>();
  /** Prompt looks of each server since `from` (ms monotonic). */
  readonly #prompt = new Map<string, { readonly from: number; count: number }>();
  /** One per server at most: a server that cries for ever must not fill our memory with alarms. */
  readonly #retries = new Map<string, NodeJS.Timeout>();
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(parts: WatchParts) {
    this.#servers = parts.servers;
    this.#registry = parts.registry;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#onLooked = parts.onLooked ?? (() => undefined);
    this.#patienceMs = parts.patienceMs ?? PATIENCE_MS;
  }

  /** Looks at every server once, then every `seconds`. Resolves after the first look. */
  async start(seconds: number): Promise<void> {
    await this.lookAtAll();
    if (this.#stopped) return;
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.lookAtAll(), seconds * 1000);
    this.#timer.unref();
  }

  /** Resolves when all have been looked at; a slow one is looked at to the end without being waited for. */
  async lookAtAll(): Promise<void> {
    const looks = Promise.all([...this.#servers.keys()].map((name) => this.look(name)));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#patienceMs);
    });
    await Promise.race([looks, late]);
    clearTimeout(timer);
  }

  /**
   * A server says it changed, or its session ended: nothing of it is served until it has been compared again. The first
   * look comes at once, and so do the next ones at a server that can be asked; one that keeps going away, or changes
   * without end, is asked at growing intervals.
   */
  lost(name: string): void {
    if (this.#stopped) return;
    this.#registry.forget(name);
    if (this.#looking.has(name)) this.#again.add(name);
    else this.#lookLater(name);
  }

  #lookLater(name: string): void {
    if (this.#stopped || this.#retries.has(name)) return;
    const waitMs = this.#mayPromptly(name) ? 0 : this.#growingWaitMs(name);
    const retry = setTimeout(() => {
      this.#retries.delete(name);
      void this.look(name);
    }, waitMs);
    retry.unref();
    this.#retries.set(name, retry);
  }

  #mayPromptly(name: string): boolean {
    if (!this.#compared.has(name)) return false;
    const { mono } = this.#clock();
    const known = this.#prompt.get(name);
    const looks = known && mono - known.from <= CALM_MS ? known : { from: mono, count: 0 };
    this.#prompt.set(name, looks);
    return looks.count++ < PROMPT_LOOKS;
  }

  #growingWaitMs(name: string): number {
    const losses = this.#losses.get(name) ?? 0;
    this.#losses.set(name, losses + 1);
    this.#calmSince.set(name, this.#clock().mono);
    return RETRY_MS[Math.min(losses, RETRY_MS.length - 1)]!;
  }

  /** One look at a time per server. Who asks meanwhile gets a look that began after he asked. */
  look(name: string): Promise<void> {
    const running = this.#looking.get(name);
    if (running) {
      this.#again.add(name);
      return running;
    }
    const look = this.#lookUntilStill(name).finally(() => this.#looking.delete(name));
    this.#looking.set(name, look);
    return look;
  }

  async #lookUntilStill(name: string): Promise<void> {
    for (let looks = 1; ; looks++) {
      this.#again.delete(name);
      await this.#look(name);
      if (!this.#again.has(name) || this.#stopped) return this.#onLooked(name);
      if (looks >= LOOKS_IN_A_ROW) return this.#lookLater(name);
    }
  }

  async #look(name: string): Promise<void> {
    const server = this.#servers.get(name);
    if (!server) return;
    this.#compared.delete(name);
    try {
      const live = await server.introspect();
      // It changed meanwhile: what was seen may be what was before.
      if (this.#again.has(name)) return;
      if (live instanceof WireFault)
        return this.#log.warn('upstream cannot be looked at', { server: name, reason: live.evidence });
      this.#registry.observe(name, live);
      this.#compared.add(name);
      const age = this.#clock().mono - (this.#calmSince.get(name) ?? 0);
      if (age > CALM_MS) this.#losses.delete(name);
    } catch (cause) {
      // What cannot be compared is not served: its pins wait until a look succeeds.
      this.#registry.forget(name);
      this.#log.error('upstream cannot be compared with its pins', { server: name }, cause);
    }
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearInterval(this.#timer);
    for (const retry of this.#retries.values()) clearTimeout(retry);
  }
}
