import { type ParseArgsConfig, parseArgs } from 'node:util';
import { VerifierError } from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { type Io, optionTrouble, wrongUse } from '../command.ts';

/** One act of `gatewrit audit`. */
export interface Action<O extends ParseArgsConfig['options'] = ParseArgsConfig['options']> {
  readonly usage: string;
  /** Besides `--json` and `--help`, which every act takes. */
  readonly options: O;
  /** Resolves with the exit code, or with a sentence that says what is wrong with the command line. */
  run(given: Given, io: Io): Promise<number | string> | number | string;
}

export interface Given {
  readonly values: Readonly<Record<string, string | boolean | string[] | undefined>>;
  readonly positionals: readonly string[];
  readonly json: boolean;
}

/** Reads the arguments of an act, and says in a sentence what is wrong with them, or what could not be done. */
export async function runAction(name: string, action: Action, argv: string[], io: Io): Promise<number> {
  const command = `audit ${name}`;
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: argv,
      allowPositionals: true,
      options: { ...action.options, json: { type: 'boolean' }, help: { type: 'boolean' } },
    });
  } catch (error) {
    return wrongUse(io, command, optionTrouble(error) ?? (error as Error).message);
  }
  const values = parsed.values as Given['values'];
  if (values['help']) {
    io.stdout(action.usage);
    return 0;
  }
  try {
    const code = await action.run({ values, positionals: parsed.positionals, json: values['json'] === true }, io);
    return typeof code === 'string' ? wrongUse(io, command, code) : code;
  } catch (error) {
    const isSaid = error instanceof VerifierError || (error instanceof InternalError && error.kind !== 'bug');
    if (!isSaid) throw error;
    io.stderr(`gatewrit ${command}: ${error.message}\n`);
    return 3;
  }
}

/** A sentence when there is a word too much on the command line. */
export function surplus(given: Given, wanted = 0): string | null {
  const word = given.positionals[wanted];
  return word === undefined ? null : `"${word}" is one word too many`;
}

/** An option that takes a text, as it was given. */
export function textOf(given: Given, name: string): string | undefined {
  const value = given.values[name];
  return typeof value === 'string' ? value : undefined;
}
