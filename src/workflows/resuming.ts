import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';
import { TAKEN } from './sessions.ts';

type Opened = Stages['streams']['opened'];

/**
 * GET of a legacy session: one that names an event of an earlier stream of this very session gets the rest of that
 * stream and nothing else (protocol.md 1.6); only without one a stream of its own. What was said is kept by the front.
 */
export function resumable(opened: Opened): Opened {
  return {
    name: opened.name,
    leaves: opened.leaves,
    run(call, now) {
      if (!call.client.session || !call.events) return new Refusal('transport.method');
      const rest = call.stream?.resume() ?? null;
      if (rest) return rest.then(() => TAKEN);
      return opened.run(call, now);
    },
  };
}
