import type { Result, Target } from '../../core/call.ts';
import type { Stage } from '../../core/stage.ts';
import type { ErrorsSettings } from './settings.ts';
import { errorsInTask, errorsStage } from './stages.ts';

export { ERRORS_REFUSALS } from './refusals.ts';
export { type ErrorsSettings, errorsSettings } from './settings.ts';

export interface Errors {
  readonly stage: Stage<'message' | 'target' | 'result', 'scrubbed'>;
  /** The same for the state of a task that a notification tells of. */
  task(state: Result, target: Target, callId: string): Result;
}

export function openErrors(options: { readonly settings: ErrorsSettings }): Errors {
  return { stage: errorsStage(options.settings), task: errorsInTask(options.settings) };
}
