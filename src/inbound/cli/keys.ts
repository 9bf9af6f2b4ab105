import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ExchangeOptions, retireKek, rotateKek, stillNeeded } from '../../controls/audit/index.ts';
import {
  KEY_CLASSES,
  type KeyClass,
  type KeyFolder,
  openSigningKeys,
  openSymmetricKeys,
  retireKeys,
  rotateKeys,
  SIGNING_CLASSES,
} from '../../core/crypto/keys.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { openMemoryStore } from '../../core/store/memory.ts';
import { openSqliteStore } from '../../core/store/sqlite.ts';
import type { Store } from '../../core/store/store.ts';
import type { Command, Io } from './command.ts';

const usage = `usage: gatewrit keys init [--home D] [--except CLASS] … [--json]
       gatewrit keys list [--home D] [--json]
       gatewrit keys rotate CLASS [--home D] [--json]
       gatewrit keys retire CLASS [--home D] [--json]

init    makes each key a production gateway needs that <home>/keys does not hold yet. A key that is there stays as it is
list    says which keys there are, how old they are and what each is for; never a key
rotate  puts a fresh key of a class first and keeps the one of before behind it: two are live, no more
retire  takes the previous key of a class away. Refused while stored keys of the audit log are wrapped under it, or
        checkpoints are signed by it alone

A running gateway takes "audit-kek" and "checkpoint" over within seconds: every stored key is wrapped anew beside its calls,
every tree is signed anew. The other classes are read at a start.

options
  --home D        state folder (default .gatewrit)
  --except CLASS  leave this one out: "operator" where manifests are signed elsewhere (registry.trust)
  --json          machine-readable answer

All replicas of a gateway share these keys, but for "checkpoint", which each makes for itself. Keep a copy of "audit-kek"
apart from the machine: without it the log cannot be read. The TLS pair is not among them: see transport.tls.

exit: 0 good, 1 list: a key is missing; rotate, retire: refused, 2 wrong use, 3 could not run

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
/** Read again by a running gateway. */
const TAKEN_OVER: readonly KeyClass[] = ['audit-kek', 'checkpoint'];

interface KeyRow {
  readonly name: KeyClass;
  readonly purpose: string;
  /** Names of the live keys, the current one first; empty: it is missing. */
  readonly kids: readonly string[];
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
    if (verb === 'rotate' || verb === 'retire') {
      const [name, ...rest] = more;
      if (name === undefined || rest.length > 0 || !(KEY_CLASSES as readonly string[]).includes(name)) {
        io.stderr(name === undefined || rest.length > 0 ? usage : `gatewrit keys: there is no key "${name}"\n`);
        return 2;
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
      io.stderr(strange.length > 0 ? `gatewrit keys: there is no key "${strange[0]}"\n` : usage);
      return 2;
    }
    const folder = join(values.home, 'keys');
    const wanted = KEY_CLASSES.filter((name) => !values.except.includes(name));
    const rows = verb === 'init' ? init(folder, wanted) : wanted.map((name) => rowOf(folder, name, false));
    io.stdout(values.json ? `${JSON.stringify({ folder, keys: rows })}\n` : table(folder, rows));
    return rows.some(({ kids }) => kids.length === 0) ? 1 : 0;
  },
};

async function exchange(
  verb: 'rotate' | 'retire',
  name: KeyClass,
  home: string,
  json: boolean,
  io: Io,
): Promise<number> {
  const folder = join(home, 'keys');
  const done = TAKEN_OVER.includes(name)
    ? await withStore(home, (store) =>
        exchangeAudit(verb, name as 'audit-kek' | 'checkpoint', { home, store, now: Date.now() }),
      )
    : (verb === 'rotate' ? rotateKeys : retireKeys)(folder, name);
  if (json) io.stdout(`${JSON.stringify({ class: name, verb, current: done.current, other: done.other })}\n`);
  else if (verb === 'rotate') {
    const when = TAKEN_OVER.includes(name)
      ? 'A running gateway takes it over within seconds.'
      : 'A gateway reads it at its next start.';
    io.stdout(`${name}: ${done.current} is the current key, ${done.other} goes on to be accepted. ${when}\n`);
    if (name === 'checkpoint')
      io.stdout(
        `A witness has to know it: once the gateway has taken it over, give it the first line of ${join(folder, 'audit.pub')}; a required one stops calls until then.\n`,
      );
    io.stdout(`When nothing needs ${done.other} any more: gatewrit keys retire ${name}\n`);
  } else {
    io.stdout(
      `${name}: ${done.other} is gone, ${done.current} is the only key.${ENDS[name] ? ` From the next start on ${ENDS[name]}.` : ''}\n`,
    );
  }
  return 0;
}

async function exchangeAudit(
  verb: 'rotate' | 'retire',
  name: 'audit-kek' | 'checkpoint',
  where: ExchangeOptions,
): Promise<{ current: string; other: string }> {
  if (name === 'audit-kek') return verb === 'rotate' ? rotateKek(where) : retireKek(where);
  const folder = join(where.home, 'keys');
  if (verb === 'rotate') return rotateKeys(folder, name);
  const needed = await stillNeeded(name, where);
  if (needed !== null) throw new SettingsError(`key ${name}: ${needed}`);
  return retireKeys(folder, name);
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
  if (!existsSync(file)) return { name, purpose: PURPOSES[name], kids: [], days: null, made };
  const kids = open({ folder, generate: false }, name).flatMap((key) => (key ? [key.kid] : []));
  const days = Math.floor((Date.now() - statSync(file).mtimeMs) / 86_400_000);
  return { name, purpose: PURPOSES[name], kids, days, made };
}

function open(keys: KeyFolder, name: KeyClass) {
  return SIGNING_CLASSES.includes(name) ? openSigningKeys(keys, name) : openSymmetricKeys(keys, name);
}

const fileOf = (folder: string, name: KeyClass) => join(folder, `${name}.jwks`);

function table(folder: string, rows: readonly KeyRow[]): string {
  const lines = rows.map(({ name, purpose, kids, days, made }) => {
    const state = kids.length === 0 ? 'missing' : made ? 'made' : `${days} d old`;
    return `  ${name.padEnd(20)}  ${state.padEnd(9)}  ${kids.join(', ').padEnd(16)}  ${purpose}`;
  });
  return `keys in ${folder}\n${lines.join('\n')}\n`;
}
