import { parseArgs } from 'node:util';

export const PARTS = ['sustained', 'open', 'verify', 'recovery'] as const;
export type Part = (typeof PARTS)[number];

export const USAGE = `usage: npm run bench:audit [-- OPTIONS]

Measures the audit log beside its goals: appends, durable acknowledgement, signed checkpoints, verifier, recovery.

  --rounds N     rounds (default 3)
  --seconds S    length of one measurement of the writer (default 4)
  --quick        2 rounds of half a second, small logs: to see that it works, not to quote
  --long         also 1,000,000 records: verified, and as an unsigned tail
  --only PART    one part: ${PARTS.join(', ')} (may be repeated)
  --json         the figures as JSON on stdout instead of the table

Progress is on stderr. Every run is kept in bench/out/. Exit: 0 measured (the table says which goals are met), 1 a log was
wrong, 2 wrong use, 3 could not run.
`;

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly parts: ReadonlySet<Part>;
  /** Records of the logs that are verified, ascending, and of the unsigned tails. */
  readonly logs: readonly number[];
  readonly tails: readonly number[];
  readonly json: boolean;
}

/** @throws TypeError with a sentence for the person who typed it */
export function readOptions(argv: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick, long, json } = values;
  const rounds = Number(values.rounds ?? (quick ? 2 : 3));
  const seconds = Number(values.seconds ?? (quick ? 0.5 : 4));
  if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError('--rounds must be a whole number from 1');
  if (!(seconds >= 0.1 && seconds <= 600)) throw new TypeError('--seconds must be from 0.1 to 600');
  const unknown = values.only.find((name) => !(PARTS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new TypeError(`--only ${unknown}: must be one of ${PARTS.join(', ')}`);
  const million = long ? [1_000_000] : [];
  return {
    rounds,
    seconds,
    warmUpSeconds: quick ? 0.3 : 1.5,
    parts: new Set(values.only.length > 0 ? (values.only as Part[]) : PARTS),
    logs: quick ? [1_000, 4_000] : [10_000, 100_000, ...million],
    tails: quick ? [2_000] : [100_000, ...million],
    json,
  };
}
