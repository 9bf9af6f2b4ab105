import { type ParseArgsConfig, parseArgs } from 'node:util';
import { VerifierError } from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Io } from '../command.ts';

/** One act of `gatewrit audit`. */
export interface Action<O extends ParseArgsConfig['options'] = ParseArgsConfig['options']> {
  readonly usage: string;
  /** Besides `--json` and `--help`, which every act takes. */
  readonly options: O;
  /** Resolves with the exit code; null: the positionals are not those of the usage. */
  run(given: Given, io: Io): Promise<number | null> | number | null;
}

export interface Given {
  readonly values: Readonly<Record<string, string | boolean | string[] | undefined>>;
  readonly positionals: readonly string[];
  readonly json: boolean;
}

/** Reads the arguments of an act, prints its usage when they are wrong, and says in a sentence what could not be done. */
export async function runAction(name: string, action: Action, argv: string[], io: Io): Promise<number> {
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: argv,
      allowPositionals: true,
      options: { ...action.options, json: { type: 'boolean' }, help: { type: 'boolean' } },
    });
  } catch (error) {
    io.stderr(`gatewrit audit ${name}: ${(error as Error).message}\n`);
    return 2;
  }
  const values = parsed.values as Given['values'];
  if (values['help']) {
    io.stdout(action.usage);
    return 0;
  }
  try {
    const code = await action.run({ values, positionals: parsed.positionals, json: values['json'] === true }, io);
    if (code !== null) return code;
  } catch (error) {
    const isSaid = error instanceof VerifierError || (error instanceof InternalError && error.kind !== 'bug');
    if (!isSaid) throw error;
    io.stderr(`gatewrit audit ${name}: ${error.message}\n`);
    return 3;
  }
  io.stderr(action.usage);
  return 2;
}

/** An option that takes a text, as it was given. */
export function textOf(given: Given, name: string): string | undefined {
  const value = given.values[name];
  return typeof value === 'string' ? value : undefined;
}
