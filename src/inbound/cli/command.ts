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
