import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ExchangeOptions, prepareKek, retireKek, rotateKek, stillNeeded } from '../../controls/audit/index.ts';
import { type Exchanged, preparedKey, prepareKeys, retireKeys, rotateKeys } from '../../core/crypto/key-exchange.ts';
import {
  KEY_CLASSES,
  type KeyClass,
  type KeyFolder,
  openSigningKeys,
  openSymmetricKeys,
  SIGNING_CLASSES,
} from '../../core/crypto/keys.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { nearest } from '../../core/settings.ts';
import { openMemoryStore } from '../../core/store/memory.ts';
import { openSqliteStore } from '../../core/store/sqlite.ts';
import type { Store } from '../../core/store/store.ts';
import { type Command, type Io, wrongUse } from './command.ts';

const usage = `usage: gatewrit keys init [--home D] [--except CLASS] … [--json]
       gatewrit keys list [--home D] [--json]
       gatewrit keys prepare CLASS [--home D] [--json]
       gatewrit keys rotate CLASS [--home D] [--json]
       gatewrit keys retire CLASS [--home D] [--json]

init    makes each key a production gateway needs that <home>/keys does not hold yet. A key that is there stays as it is
list    says which keys there are, how old they are and what each is for; never a key
prepare puts a fresh key of a class behind the current one: accepted from then on, and used by nobody until rotate. For those
        who have to know it before: the witness of an audit log, the other replicas of a gateway
rotate  puts the prepared key of a class first, or a fresh one, and keeps the one of before behind it: two are live, no more
retire  takes the previous key of a class away, or a prepared one. Refused while stored keys of the audit log are wrapped
        under it, or checkpoints are signed by it alone

A running gateway takes "audit-kek" and "checkpoint" over within seconds: every stored key is wrapped anew beside its calls,
every tree is signed anew. The other classes are read at a start.

options
  --home D        state folder (default .gatewrit)
  --except CLASS  leave this one out: "operator" where manifests are signed elsewhere (registry.trust)
  --json          machine-readable answer

All replicas of a gateway share these keys, but for "checkpoint", which each makes for itself. Keep a copy of "audit-kek"
apart from the machine: without it the log cannot be read. The TLS pair is not among them: see transport.tls.

exit: 0 good, 1 list: a key is missing; prepare, rotate, retire: refused, 2 wrong use, 3 could not run

example
  gatewrit keys init --home .gatewrit
`;

/** What each class is for, in words. */
const PURPOSES: Readonly<Record<KeyClass, string>> = {
  operator: 'signs reviewed manifests',
  'audit-kek': 'wraps the keys the audit log is sealed under',
  checkpoint: 'signs checkpoints of the audit log',
  'state-seal': 'seals sessions, cursors and state that clients hold',
  'redaction-token': 'makes tokens in place of redacted values',
  'approval-mac': 'binds approvals to the call they were given for',
  'upstream-credentials': 'seals our own tokens for upstreams with oauth',
};
/** What ends with the previous key of a class, where nothing can be counted. */
const ENDS: Partial<Readonly<Record<KeyClass, string>>> = {
  operator: 'manifests it signed are no longer served: sign them again first',
  'state-seal': 'sessions, cursors and open rounds that clients got under it are no longer accepted',
  'redaction-token': 'values redacted before and after no longer bear the same token',
  'approval-mac': 'approvals asked for under it can no longer be decided or used',
  'upstream-credentials': 'sign-ins at upstreams kept under it are lost: run gatewrit upstream login again',
};
/** Missing in most homes: what uses it says so at the start. */
const NOT_ALWAYS: readonly KeyClass[] = ['upstream-credentials'];
/** Read again by a running gateway. */
const TAKEN_OVER: readonly KeyClass[] = ['audit-kek', 'checkpoint'];
const EXCHANGES = ['prepare', 'rotate', 'retire'] as const;
type Exchange = (typeof EXCHANGES)[number];
const EXCHANGED_AS = { prepare: prepareKeys, rotate: rotateKeys, retire: retireKeys } as const;
const KEK_EXCHANGED_AS = { prepare: prepareKek, rotate: rotateKek, retire: retireKek } as const;

interface KeyRow {
  readonly name: KeyClass;
  readonly purpose: string;
  /** Names of the live keys, the current one first; empty: it is missing. */
  readonly kids: readonly string[];
  /** Which of them waits for `rotate`. */
  readonly prepared: string | null;
  /** Since the file was written. */
  readonly days: number | null;
  readonly made: boolean;
}

export const keysCommand: Command = {
  name: 'keys',
  summary: 'make, list and exchange the keys of a home',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        home: { type: 'string', default: '.gatewrit' },
        except: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    const [verb, ...more] = positionals;
    if (isExchange(verb)) {
      const [name, ...rest] = more;
      if (name === undefined || rest.length > 0 || !(KEY_CLASSES as readonly string[]).includes(name)) {
        return wrongUse(io, 'keys', name === undefined || rest.length > 0 ? `say ${verb} CLASS` : noKey(name));
      }
      try {
        return await exchange(verb, name as KeyClass, values.home, values.json, io);
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        io.stderr(`gatewrit keys: ${error.message}\n`);
        return 1;
      }
    }
    const strange = values.except.filter((name) => !(KEY_CLASSES as readonly string[]).includes(name));
    if ((verb !== 'init' && verb !== 'list') || more.length > 0 || strange.length > 0) {
      return wrongUse(
        io,
        'keys',
        strange[0] === undefined ? `say init, list or ${EXCHANGES.join('|')} CLASS` : noKey(strange[0]),
      );
    }
    const folder = join(values.home, 'keys');
    const wanted = KEY_CLASSES.filter((name) => !values.except.includes(name));
    const rows = verb === 'init' ? init(folder, wanted) : wanted.map((name) => rowOf(folder, name, false));
    io.stdout(values.json ? `${JSON.stringify({ folder, keys: rows })}\n` : table(folder, rows));
    return rows.some(({ name, kids }) => kids.length === 0 && !NOT_ALWAYS.includes(name)) ? 1 : 0;
  },
};

function noKey(name: string): string {
  const near = nearest(name, KEY_CLASSES);
  return `there is no key "${name}"; ${near ? `did you mean "${near}"?` : `keys are ${KEY_CLASSES.join(', ')}`}`;
}

function isExchange(verb: string | undefined): verb is Exchange {
  return (EXCHANGES as readonly (string | undefined)[]).includes(verb);
}

async function exchange(verb: Exchange, name: KeyClass, home: string, json: boolean, io: Io): Promise<number> {
  const folder = join(home, 'keys');
  const done = await exchanged(verb, name, home, folder);
  const { current, other } = done;
  if (json) io.stdout(`${JSON.stringify({ class: name, verb, current, other })}\n`);
  else io.stdout(`${said(verb, name, done, join(folder, 'audit.pub')).join('\n')}\n`);
  return 0;
}

type Done = Pick<Exchanged, 'current' | 'other' | 'unused'>;

async function exchanged(verb: Exchange, name: KeyClass, home: string, folder: string): Promise<Done> {
  if (!TAKEN_OVER.includes(name)) return EXCHANGED_AS[verb](folder, name);
  return withStore(home, async (store) => {
    const where: ExchangeOptions = { home, store, now: Date.now() };
    if (name === 'audit-kek') return { unused: false, ...(await KEK_EXCHANGED_AS[verb](where)) };
    if (verb === 'retire' && preparedKey(folder, name) === null) {
      const needed = await stillNeeded('checkpoint', where);
      if (needed !== null) throw new SettingsError(`key ${name}: ${needed}`);
    }
    return EXCHANGED_AS[verb](folder, name);
  });
}

/** What was done, and what to do next. */
function said(verb: Exchange, name: KeyClass, { current, other, unused }: Done, printed: string): string[] {
  const witnessed = name === 'checkpoint';
  const taken = TAKEN_OVER.includes(name);
  switch (verb) {
    case 'prepare':
      return [
        `${name}: ${other} is prepared and not used yet, ${current} is the current key.`,
        taken
          ? 'A running gateway knows it within seconds.'
          : 'A gateway reads it at its next start: restart all replicas.',
        ...(witnessed ? [`Then the witness has to know it: give it the second line of ${printed}.`] : []),
        `After that: gatewrit keys rotate ${name}`,
      ];
    case 'rotate':
      return [
        `${name}: ${current} is the current key, ${other} goes on to be accepted.`,
        taken ? 'A running gateway takes it over within seconds.' : 'A gateway reads it at its next start.',
        ...(witnessed
          ? [
              `A witness has to know it: unless it was told when the key was prepared, give it the first line of ${printed} now; a required one stops calls until then.`,
            ]
          : []),
        `When nothing needs ${other} any more: gatewrit keys retire ${name}`,
      ];
    case 'retire': {
      const ends = unused ? ' It was never used.' : ENDS[name] ? ` From the next start on ${ENDS[name]}.` : '';
      return [`${name}: ${other} is gone, ${current} is the only key.${ends}`];
    }
  }
}

/** A home that was never started has no store yet: a memory one says the same. */
async function withStore<T>(home: string, use: (store: Store) => Promise<T>): Promise<T> {
  const path = join(home, 'store', 'gatewrit.db');
  const store = existsSync(path) ? openSqliteStore({ path }) : openMemoryStore();
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

function init(folder: string, wanted: readonly KeyClass[]): KeyRow[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return wanted.map((name) => {
    const missing = !existsSync(fileOf(folder, name));
    if (missing) open({ folder, generate: true }, name);
    return rowOf(folder, name, missing);
  });
}

function rowOf(folder: string, name: KeyClass, made: boolean): KeyRow {
  const file = fileOf(folder, name);
  if (!existsSync(file)) return { name, purpose: PURPOSES[name], kids: [], prepared: null, days: null, made };
  const kids = open({ folder, generate: false }, name).flatMap((key) => (key ? [key.kid] : []));
  const days = Math.floor((Date.now() - statSync(file).mtimeMs) / 86_400_000);
  return { name, purpose: PURPOSES[name], kids, prepared: preparedKey(folder, name), days, made };
}

function open(keys: KeyFolder, name: KeyClass) {
  return SIGNING_CLASSES.includes(name) ? openSigningKeys(keys, name) : openSymmetricKeys(keys, name);
}

const fileOf = (folder: string, name: KeyClass) => join(folder, `${name}.jwks`);

const missing = (name: KeyClass) => (NOT_ALWAYS.includes(name) ? 'none' : 'missing');

function table(folder: string, rows: readonly KeyRow[]): string {
  const lines = rows.map(({ name, purpose, kids, prepared, days, made }) => {
    const state = kids.length === 0 ? missing(name) : made ? 'made' : `${days} d old`;
    const named = kids.map((kid) => (kid === prepared ? `${kid} (prepared)` : kid)).join(', ');
    return [name.padEnd(20), state.padEnd(9), named, purpose] as const;
  });
  const width = Math.max(...lines.map(([, , named]) => named.length));
  const shown = lines.map(([name, state, named, purpose]) => `  ${name}  ${state}  ${named.padEnd(width)}  ${purpose}`);
  return `keys in ${folder}\n${shown.join('\n')}\n`;
}
