import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';
import type { Asking } from '../upstream/servers.ts';

/** Questions of upstreams on their way to clients, and the responses on their way back. */
export function openQuestions(): Asking & { readonly answered: Stages['answered'] } {
  return {
    ask: () => new Refusal('upstream.capability'),
    answered: { name: 'questions.answered', leaves: 'reply', run: () => new Refusal('validation.envelope') },
  };
}
