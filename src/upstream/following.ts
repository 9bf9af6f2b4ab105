import type { Client, Principal } from '../core/call.ts';
import { keepOpen } from './keep-open.ts';
import { WireFault } from './wire.ts';

/** What one principal wants to hear of a server: updates of these resources, by the server's own URIs. */
export interface Interest {
  readonly principal: Principal;
  readonly resources: readonly string[];
}

/** What one client wants to hear of a server: what becomes of these tasks, by the server's own ids. */
export interface TaskInterest {
  readonly principal: Principal;
  /** Decides which questions a state may hold. */
  readonly client: Client;
  readonly tasks: readonly string[];
}

export interface Followed {
  /** Those of the resources, or tasks, of which the server said it will tell. */
  readonly honoured: readonly string[];
  end(): void;
}

/** One stretch of listening: until the stream ends. Resolves with whether it may be tried again. */
export type Listening = (signal: AbortSignal, onHonoured: (those: readonly string[]) => void) => Promise<boolean>;

/** How long a server may think about what it honours. */
const HONOUR_MS = 5_000;
const NOTHING: readonly string[] = [];

/**
 * Follows for as long as somebody wants to, over restarts of the server. Resolves when the server said what it honours.
 * @param open reaches the server, and says how to listen to it
 */
export function follow(open: () => Promise<Listening | WireFault>, mono: () => number): Promise<Followed> {
  const { promise, resolve } = Promise.withResolvers<Followed>();
  const over = new AbortController();
  const end = () => over.abort();
  const honoured = (those: readonly string[]) => resolve({ honoured: those, end });
  const timer = setTimeout(honoured, HONOUR_MS, NOTHING);
  const once = async () => {
    const listening = await open();
    if (over.signal.aborted) return false;
    return listening instanceof WireFault || listening(over.signal, honoured);
  };
  void keepOpen(once, over.signal, mono).finally(() => honoured(NOTHING));
  return promise.finally(() => clearTimeout(timer));
}
