import type { Registry } from '../controls/registry/index.ts';
import type { Now } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import type { UpstreamServer } from '../upstream/server.ts';
import { WireFault } from '../upstream/wire.ts';

/**
 * Compares every live server with its pins: at the start, at every change notice, and again and again. What differs is
 * quarantined by the registry; a server that cannot be asked keeps what was observed of it, its calls fail by themselves.
 */
export class ServerWatch {
  readonly #servers: ReadonlyMap<string, UpstreamServer>;
  readonly #registry: Registry;
  readonly #clock: () => Now;
  readonly #log: Log;
  readonly #looking = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: { servers: ReadonlyMap<string, UpstreamServer>; registry: Registry; clock: () => Now; log: Log }) {
    this.#servers = parts.servers;
    this.#registry = parts.registry;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Looks at every server once, then every `seconds`. Resolves after the first look. */
  async start(seconds: number): Promise<void> {
    await this.lookAtAll();
    this.#timer = setInterval(() => void this.lookAtAll(), seconds * 1000);
    this.#timer.unref();
  }

  async lookAtAll(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((name) => this.look(name)));
  }

  /** One look at a time per server; whoever asks meanwhile shares it. */
  look(name: string): Promise<void> {
    const running = this.#looking.get(name);
    if (running) return running;
    const look = this.#look(name).finally(() => this.#looking.delete(name));
    this.#looking.set(name, look);
    return look;
  }

  async #look(name: string): Promise<void> {
    const server = this.#servers.get(name);
    if (!server) return;
    try {
      const live = await server.introspect();
      if (live instanceof WireFault) return this.#log.warn('upstream cannot be looked at', { server: name, reason: live.evidence });
      this.#registry.observe(name, live, this.#clock());
    } catch (cause) {
      // What cannot be compared is not served: its pins wait until a look succeeds.
      this.#registry.forget(name);
      this.#log.error('upstream cannot be compared with its pins', { server: name }, cause);
    }
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }
}
