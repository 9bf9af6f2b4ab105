import type { Principal } from '../core/call.ts';
import { keepOpen } from './keep-open.ts';
import { WireFault } from './wire.ts';

/** What one principal wants to hear of a server: updates of these resources, by the server's own URIs. */
export interface Interest {
  readonly principal: Principal;
  readonly resources: readonly string[];
}

export interface Followed {
  /** Those of the resources whose updates the server said it will tell. */
  readonly honoured: readonly string[];
  end(): void;
}

/** One stretch of listening: until the stream ends. Resolves with whether it may be tried again. */
export interface Listener {
  follow(
    interest: Interest,
    signal: AbortSignal,
    onHonoured: (resources: readonly string[]) => void,
    onEvent: (notification: Uint8Array) => void,
  ): Promise<boolean>;
}

/** How long a server may think about what it honours. */
const HONOUR_MS = 5_000;
const NOTHING: readonly string[] = [];

/** Follows resources for as long as somebody wants to, over restarts of the server. Resolves when the server said what it honours. */
export function follow(
  open: () => Promise<Listener | WireFault>,
  interest: Interest,
  onEvent: (notification: Uint8Array) => void,
  mono: () => number,
): Promise<Followed> {
  const { promise, resolve } = Promise.withResolvers<Followed>();
  const over = new AbortController();
  const end = () => over.abort();
  const honoured = (resources: readonly string[]) => resolve({ honoured: resources, end });
  const timer = setTimeout(honoured, HONOUR_MS, NOTHING);
  const once = async () => {
    const listener = await open();
    if (over.signal.aborted) return false;
    return listener instanceof WireFault || listener.follow(interest, over.signal, honoured, onEvent);
  };
  void keepOpen(once, over.signal, mono).finally(() => honoured(NOTHING));
  return promise.finally(() => clearTimeout(timer));
}
