import type { CallWith, Now, Round } from '../../core/call.ts';
import { Refusal, type Stage } from '../../core/stage.ts';

/** What has been left on a call that may stand in a chain of rounds. */
export type RoundCall = CallWith<'principal' | 'message' | 'client' | 'target' | 'arguments'>;

export interface Rounds {
  readonly stage: Stage<'principal' | 'message' | 'client' | 'target' | 'arguments', 'round'>;
  /**
   * The state a modern client has to bring back: sealed, for this principal, this target and these arguments, once.
   * @param state what the upstream gave
   * @param grant approval that was used up in this chain
   */
  seal(call: RoundCall, state: string | null, grant: string | null, now: Now): string;
}

const FIRST: Round = Object.freeze({ answers: null, grant: null });

export function openRounds(): Rounds {
  return {
    stage: {
      name: 'validation.round',
      leaves: 'round',
      run({ message: { params } }) {
        if (params['requestState'] === undefined && params['inputResponses'] === undefined) return FIRST;
        return new Refusal('validation.round');
      },
    },
    seal() {
      throw new Error('not made yet');
    },
  };
}
