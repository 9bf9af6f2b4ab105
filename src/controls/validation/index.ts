import type { Target } from '../../core/call.ts';
import { paramHeaders } from '../../core/mcp/mcp-headers.ts';
import type { Stage } from '../../core/stage.ts';
import { Definitions } from './definitions.ts';
import { openRounds, type Rounds, type RoundsOptions } from './rounds.ts';
import { SchemaCompiler } from './schema.ts';
import type { ValidationSettings } from './settings.ts';
import { argumentsStage, messageStage } from './stages.ts';

export { KNOWN_METHODS } from './methods.ts';
export { VALIDATION_REFUSALS } from './refusals.ts';
export { MAX_STATE_BYTES, type RoundCall, type Rounds, type RoundsOptions } from './rounds.ts';
export { type ValidationSettings, validationSettings, weakValidation } from './settings.ts';

export interface Validation {
  readonly stages: {
    readonly message: Stage<'endpoint' | 'principal' | 'body', 'message'>;
    readonly arguments: Stage<'message' | 'target', 'arguments'>;
    readonly round: Rounds['stage'];
  };
  readonly rounds: Rounds;
  readonly schemas: {
    /** To be asked before a tool is registered. Null: every keyword of its schema will be enforced; else why it must be refused. */
    accept(schema: unknown): string | null;
  };
  /** Where a structured result breaks the pinned output schema of its tool, as a path that holds no value; null: nowhere. */
  outputFault(target: Target, structured: unknown): string | null;
}

/** Opens the control. It holds compiled schemas only, and nothing that must be closed. */
export function openValidation(
  options: { readonly settings: ValidationSettings } & Omit<RoundsOptions, 'limits'>,
): Validation {
  const { settings } = options;
  const compiler = new SchemaCompiler({ formats: settings.formats });
  const definitions = new Definitions(compiler, settings.compiledSchemas);
  const rounds = openRounds({ ...options, limits: settings });
  return {
    stages: {
      message: messageStage(settings),
      arguments: argumentsStage(definitions, settings, settings.mode === 'observe'),
      round: rounds.stage,
    },
    rounds,
    outputFault: (target, structured) => definitions.outputFault(target, structured),
    schemas: {
      accept(schema) {
        const compiled = compiler.compile(schema);
        if (typeof compiled === 'string') return compiled;
        const headers = paramHeaders(schema);
        return typeof headers === 'string' ? headers : null;
      },
    },
  };
}
