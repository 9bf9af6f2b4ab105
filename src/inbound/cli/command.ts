import { getSystemErrorMessage } from 'node:util';

/** Where a command writes. stdout is the command's own; everything for people goes to stderr. */
export interface Io {
  stdout(text: string): void;
  stderr(text: string): void;
}

/** Exit codes: 0 good, 1 a finding, 2 wrong use, 3 could not run. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Printed by --help: synopsis, options, an example that runs. */
  readonly usage: string;
  /** It has acts, each with a `--help` of its own. */
  readonly acts?: true;
  run(argv: string[], io: Io): Promise<number>;
}

/** What the operating system said of a file or port that a person named, in a sentence; null: it is another error. */
export function systemTrouble(error: unknown): string | null {
  const { errno, syscall, path, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (!(error instanceof Error) || errno === undefined || syscall === undefined) return null;
  const what = path ?? (address === undefined ? undefined : `on ${address}:${port}`);
  return what === undefined ? null : `cannot ${syscall} ${what}: ${getSystemErrorMessage(errno)}`;
}

/** Says what is wrong with a command line and where to look; the exit code of wrong use. */
export function wrongUse(io: Io, command: string, why: string): number {
  io.stderr(`gatewrit ${command}: ${why}. Run: gatewrit ${command} --help\n`);
  return 2;
}

/** What is wrong with the options of a command line, without Node's advice for programmers; null: it is another error. */
export function optionTrouble(error: unknown): string | null {
  if (!(error instanceof TypeError)) return null;
  if (!(error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) return null;
  const [said = ''] = error.message.split(/\n|\. To specify/);
  return said.replace(/\.$/, '');
}
