import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';

/** Streams that outlive a request: what may be heard on them is judged event by event. */
export function streamStages(): Stages['streams'] {
  return {
    listen: { name: 'streams.listen', leaves: 'reply', run: () => new Refusal('validation.method') },
    opened: { name: 'streams.opened', leaves: 'reply', run: () => new Refusal('transport.method') },
    subscribed: { name: 'streams.subscribed', leaves: 'reply', run: () => new Refusal('validation.method') },
  };
}
