import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  KEY_CLASSES,
  type KeyClass,
  type KeyFolder,
  openSigningKeys,
  openSymmetricKeys,
} from '../../core/crypto/keys.ts';
import type { Command, Io } from './command.ts';

const usage = `usage: gatewrit keys init [--home D] [--except CLASS] … [--json]
       gatewrit keys list [--home D] [--json]

init  makes each key a production gateway needs that <home>/keys does not hold yet. A key that is there stays as it is
list  says which keys there are, how old they are and what each is for; never a key

options
  --home D        state folder (default .gatewrit)
  --except CLASS  leave this one out: "operator" where manifests are signed elsewhere (registry.trust)
  --json          machine-readable answer

All replicas of a gateway share these keys, but for "checkpoint", which each makes for itself. Keep a copy of "audit-kek"
apart from the machine: without it the log cannot be read. The TLS pair is not among them: see transport.tls.

exit: 0 good, 1 list: a key is missing, 2 wrong use, 3 could not run

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
const SIGNING: readonly KeyClass[] = ['operator', 'checkpoint'];

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
  summary: 'make and list the keys of a home',
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
  return SIGNING.includes(name) ? openSigningKeys(keys, name) : openSymmetricKeys(keys, name);
}

const fileOf = (folder: string, name: KeyClass) => join(folder, `${name}.jwks`);

function table(folder: string, rows: readonly KeyRow[]): string {
  const lines = rows.map(({ name, purpose, kids, days, made }) => {
    const state = kids.length === 0 ? 'missing' : made ? 'made' : `${days} d old`;
    return `  ${name.padEnd(20)}  ${state.padEnd(9)}  ${kids.join(', ').padEnd(16)}  ${purpose}`;
  });
  return `keys in ${folder}\n${lines.join('\n')}\n`;
}
