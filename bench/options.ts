import { parseArgs } from 'node:util';

export const PARTS = ['closed', 'open', 'stages', 'variants', 'profile', 'heap'] as const;
export type Part = (typeof PARTS)[number];

export const USAGE = `usage: npm run bench [-- OPTIONS]

Measures the gateway with all ten controls on beside its upstream called directly and a bare relay.

  --rounds N     interleaved rounds (default 5)
  --seconds S    length of one measurement (default 2)
  --quick        2 rounds of 0.6 s without variants, under a minute: to see that it works, not to quote
  --only PART    one part: ${PARTS.join(', ')} (may be repeated; profile and heap run only when named)
  --against DIR  this checkout's gateway beside that of another one, in alternating rounds, and nothing else
  --json         the figures as JSON on stdout instead of tables

Progress is on stderr. Every run is kept in bench/out/. Exit: 0 good, 1 the bound is missed or an answer was wrong,
2 wrong use, 3 could not run.
`;

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly quick: boolean;
  readonly parts: ReadonlySet<Part>;
  /** Folder of another checkout of this project. */
  readonly against: string | null;
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
      only: { type: 'string', multiple: true, default: [] },
      against: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick, json } = values;
  const rounds = Number(values.rounds ?? (quick ? 2 : 5));
  const seconds = Number(values.seconds ?? (quick ? 0.6 : 2));
  if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError('--rounds must be a whole number from 1');
  if (!(seconds >= 0.1 && seconds <= 60)) throw new TypeError('--seconds must be from 0.1 to 60');
  const unknown = values.only.find((name) => !(PARTS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new TypeError(`--only ${unknown}: must be one of ${PARTS.join(', ')}`);
  const asked =
    values.only.length > 0
      ? (values.only as Part[])
      : PARTS.filter((part) => part !== 'profile' && part !== 'heap' && !(quick && part === 'variants'));
  const against = values.against ?? null;
  const parts = new Set(against === null ? asked : []);
  return { rounds, seconds, warmUpSeconds: quick ? 1.5 : 4, quick, parts, against, json };
}
