import { parseArgs } from 'node:util';
import { DEVELOPMENT_PEOPLE, mintDevelopmentToken } from '../../controls/authentication/index.ts';
import { InternalError } from '../../core/internal-error.ts';
import { nearest } from '../../core/settings.ts';
import { type Command, optionTrouble, wrongUse } from './command.ts';
import { readReady } from './ready.ts';

const usage = `usage: gatewrit token --sub S --scope "S …" [--ttl 5m] [--client C] [--groups G] [--audience URL] [--home D] [--json]

Prints a development token, alone on stdout, signed by the embedded issuer of a running development gateway.

  --sub S         who it is for
  --scope "S …"   scopes, separated by blanks
  --ttl T         how long it lives: 90s, 5m, 1h (default 5m, at most 24h)
  --client C      OAuth client it names (default gatewrit-cli)
  --groups G      groups, separated by commas (default: those of the development person S)
  --audience URL  resource it is for (default: every endpoint of the running gateway)
  --issuer URL    issuer it names (default: the running gateway's)
  --home D        home of the gateway (default .gatewrit)
  --json          {"token":…,"expiresAt":…,"issuer":…,"audience":…} instead of the bare token

Example: gatewrit token --sub alice --scope "s3:list jira:read" --ttl 5m
`;

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const LONGEST_SECONDS = 86_400;

/** Seconds of `90s`, `5m`, `1h`, or null. */
export function readDuration(text: string): number | null {
  const parts = /^([1-9]\d{0,5})([smh])$/.exec(text);
  if (parts === null) return null;
  const seconds = Number(parts[1]) * UNITS[parts[2]!]!;
  return seconds <= LONGEST_SECONDS ? seconds : null;
}

export const tokenCommand: Command = {
  name: 'token',
  summary: 'print a development token',
  usage,
  async run(argv, io) {
    let values: ReturnType<typeof readOptions>;
    try {
      values = readOptions(argv);
    } catch (error) {
      return wrongUse(io, 'token', optionTrouble(error) ?? (error as Error).message);
    }
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    if (!values.sub) return wrongUse(io, 'token', '--sub is missing');
    if (values.scope === undefined) return wrongUse(io, 'token', '--scope is missing; "" asks for none');
    const ttlSeconds = readDuration(values.ttl);
    if (ttlSeconds === null) return wrongUse(io, 'token', '--ttl takes 90s, 5m or 1h, at most 24h');
    try {
      const where = namesOf(values);
      const groups = values.groups?.split(',').filter(Boolean) ?? groupsOf(values.sub);
      const scopes = values.scope.split(/[ ,]+/).filter(Boolean);
      const now = Date.now();
      const order = {
        home: values.home,
        ...where,
        subject: values.sub,
        scopes,
        groups,
        client: values.client,
        ttlSeconds,
        now,
      };
      for (const scope of scopes) io.stderr(noteOf(scope, readReady(values.home)?.scopes ?? []));
      const token = await mintDevelopmentToken(order);
      const expiresAt = new Date((Math.floor(now / 1000) + ttlSeconds) * 1000).toISOString();
      io.stdout(`${values.json ? JSON.stringify({ token, expiresAt, ...where }) : token}\n`);
      return 0;
    } catch (error) {
      if (!(error instanceof InternalError)) throw error;
      io.stderr(`gatewrit token: ${error.message}\n`);
      return 3;
    }
  },
};

function readOptions(argv: string[]) {
  return parseArgs({
    args: argv,
    options: {
      sub: { type: 'string' },
      scope: { type: 'string' },
      ttl: { type: 'string', default: '5m' },
      client: { type: 'string', default: 'gatewrit-cli' },
      groups: { type: 'string' },
      audience: { type: 'string' },
      issuer: { type: 'string' },
      home: { type: 'string', default: '.gatewrit' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

function namesOf(values: { issuer?: string; audience?: string; home: string }): {
  issuer: string;
  audience: string | readonly string[];
} {
  const ready = values.issuer && values.audience ? null : readReady(values.home);
  const issuer = values.issuer ?? ready?.issuer;
  const audience = values.audience ?? ready?.resources;
  if (issuer && audience) return { issuer, audience };
  const why = ready ? 'the running gateway has no development issuer' : `no gateway runs with home ${values.home}`;
  throw new InternalError(
    'token.no_issuer',
    `${why}; start one with "gatewrit start" in development mode, or name --issuer and --audience`,
    {
      kind: 'outage',
    },
  );
}

/** A scope nobody asks for is allowed, and mostly a slip of the pen. */
function noteOf(scope: string, asked: readonly string[]): string {
  if (asked.length === 0 || asked.includes(scope)) return '';
  const near = nearest(scope, asked);
  return `gatewrit token: nothing here asks for the scope ${scope}${near ? `; did you mean ${near}?` : `; it does for ${asked.join(', ')}`}\n`;
}

function groupsOf(subject: string): readonly string[] {
  return DEVELOPMENT_PEOPLE.find((person) => person.subject === subject)?.groups ?? [];
}
