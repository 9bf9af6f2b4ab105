import type { Reply } from '../core/call.ts';
import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';

/** A notification is acknowledged by its status alone. */
export const TAKEN: Reply = Object.freeze({
  kind: 'result',
  bytes: new Uint8Array(0),
  findings: [],
  diagnostics: null,
  status: 202,
});

/** What a legacy session is told by the gateway alone. */
export function sessionStages(): Stages['sessions'] {
  const unknown = () => new Refusal('validation.method');
  return {
    local: { name: 'sessions.local', leaves: 'scrubbed', run: unknown },
    notified: { name: 'sessions.notified', leaves: 'reply', run: () => TAKEN },
    ended: { name: 'sessions.ended', leaves: 'reply', run: () => new Refusal('transport.method') },
  };
}
