import type { Stage } from '../../core/stage.ts';
import type { ErrorsSettings } from './settings.ts';
import { errorsStage } from './stages.ts';

export { ERRORS_REFUSALS } from './refusals.ts';
export { type ErrorsSettings, errorsSettings } from './settings.ts';

export interface Errors {
  readonly stage: Stage<'target' | 'result', 'scrubbed'>;
}

export function openErrors(options: { readonly settings: ErrorsSettings }): Errors {
  return { stage: errorsStage(options.settings) };
}
