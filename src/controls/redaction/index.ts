/** What others may use of redaction. */
export { type Evaluation, evaluate, type LabelledText, type Score } from './evaluate.ts';
export { type Inspected, inspect } from './inspect.ts';
export { REDACTION_REFUSALS, type RedactionRefusal } from './refusals.ts';
export type { EventContext, OutputSchema } from './reply.ts';
export { PROFILES, type RedactionSettings, redactionSettings, redactionWeaknesses } from './settings.ts';
export { openRedaction, type Redaction, type RedactionOptions } from './stages.ts';
export { TYPES, type Type } from './types.ts';
