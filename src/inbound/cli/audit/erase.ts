import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Audit,
  type AuditOptions,
  auditSettings,
  keptKek,
  openAudit,
  readVerifiers,
} from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { principalKey } from '../../../core/principal-key.ts';
import { openSecret, secretReference } from '../../../core/settings.ts';
import { openSqliteStore } from '../../../core/store/sqlite.ts';
import {
  CERTIFICATE_USAGE,
  certificateFiles,
  certificateOptions,
  readClientCertificate,
} from '../../client-certificate.ts';
import { askAdmin, refusalText } from '../admin-api.ts';
import type { Io } from '../command.ts';
import { type Ready, readReady } from '../ready.ts';
import { signIn } from '../sign-in.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';
import { visible } from './record-text.ts';

export const eraseAction: Action = {
  usage: `usage: gatewrit audit erase --subject "ISSUER SUBJECT" --basis TEXT [--dry-run] [--home D] [--json]
                            [--as PERSON | --token REF]   beside a running gateway
                            [--tenant T]                  without one

Deletes the key under which everything was sealed that calls of one subject said and got: arguments, results, diagnostics,
stored approvals and questions, in every copy of the log. It cannot be undone. The records of what was done stay, and so
does every proof. Other processes of the gateway may go on with the key for up to 60 s. Backups of the store still hold
it: they must go when your promise to the subject says so.

Beside a running gateway it is an operation of the admin API: scope gatewrit:audit:erase, in the tenant of who asks.
Without one it opens the log itself.

options
  --subject "I S"  issuer and subject as in the tokens; beside a running development gateway the
                   subject alone is enough
  --basis TEXT     why, e.g. the number of the request; kept in the record
  --dry-run        say whether there is a key, delete nothing
  --as PERSON      who you are; signs in through the development issuer
  --token REF      a token made for the admin API: env:NAME or file:PATH
  --tenant T       tenant of the subject (default: default)
  --home D         home of the gateway (default .gatewrit)
  --json           machine-readable answer
${CERTIFICATE_USAGE}
exit: 0 erased (with --dry-run: there is a key), 1 there is no key, or refused, 2 wrong use, 3 could not run

example
  gatewrit audit erase --subject "https://login.example.com alice@example.com" --basis "request 2026-117"
`,
  options: {
    home: { type: 'string' },
    subject: { type: 'string' },
    basis: { type: 'string' },
    tenant: { type: 'string' },
    as: { type: 'string' },
    token: { type: 'string' },
    'dry-run': { type: 'boolean' },
    ...certificateOptions,
  },
  run(given, io) {
    const subject = textOf(given, 'subject');
    const dryRun = given.values['dry-run'] === true;
    const basis = textOf(given, 'basis') ?? (dryRun ? 'dry run' : undefined);
    if (!subject || !basis) return `${subject ? '--basis' : '--subject'} is missing`;
    const tooMany = surplus(given);
    if (tooMany !== null) return tooMany;
    const home = textOf(given, 'home') ?? '.gatewrit';
    const running = runningGateway(home);
    const asked = whomOf(subject, running?.issuer ?? '');
    if (!asked)
      return '--subject takes the issuer and the subject, "https://login.example.com alice"; the subject alone is enough beside a running development gateway';
    const wanted: Wanted = { ...asked, basis, dryRun, home };
    return running ? throughGateway(wanted, running, given, io) : inPlace(wanted, given, io);
  },
};

interface Wanted {
  readonly issuer: string;
  readonly subject: string;
  readonly basis: string;
  readonly dryRun: boolean;
  readonly home: string;
}

interface Said {
  readonly key: string | null;
  readonly tenant: string;
  readonly record?: { readonly index: number; readonly id: string };
}

/** The issuer ends at the first blank: no URL holds one. */
function whomOf(text: string, developmentIssuer: string): { issuer: string; subject: string } | null {
  const blank = text.indexOf(' ');
  const issuer = blank < 0 ? developmentIssuer : text.slice(0, blank);
  const subject = blank < 0 ? text : text.slice(blank + 1);
  return issuer === '' || subject === '' ? null : { issuer, subject };
}

function runningGateway(home: string): Ready | null {
  const ready = readReady(home);
  if (!ready) return null;
  try {
    process.kill(ready.pid, 0);
    return ready;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? ready : null;
  }
}

async function throughGateway(wanted: Wanted, ready: Ready, given: Given, io: Io): Promise<number | string> {
  const [person, reference] = [textOf(given, 'as'), textOf(given, 'token')];
  if (textOf(given, 'tenant') !== undefined || (person === undefined) === (reference === undefined))
    return 'a gateway runs with this home: say who you are with --as or --token, and leave out --tenant: it erases in yours';
  // Checked here: what openSecret says of a file names its path, and that would be the token.
  if (reference !== undefined && !secretReference.safeParse(reference).success)
    return '--token takes env:NAME or file:PATH, never the token itself';
  const files = certificateFiles(given.values, process.env);
  if (typeof files === 'string') return files;
  const certificate = readClientCertificate(files, { utc: Date.now() });
  const { issuer, subject, basis, dryRun, home } = wanted;
  const token =
    person === undefined ? openSecret(reference!).toString('utf8').trim() : await signIn(home, person, SCOPES);
  const sent = { issuer, subject, basis, ...(dryRun ? { dryRun } : {}) };
  const answer = await askAdmin(ready, token, '/api/audit/erase', sent, certificate).catch((cause: unknown) => {
    throw new InternalError('erase.unreachable', `the gateway cannot be asked: ${(cause as Error).message}`, {
      kind: 'outage',
      cause,
    });
  });
  if (answer.status === 200 && answer.body['error'] === undefined)
    return report(wanted, answer.body as unknown as Said, given, io);
  io.stderr(`gatewrit audit erase: ${refusalText(answer)}\n`);
  return answer.status >= 500 ? 3 : 1;
}

const SCOPES = ['gatewrit:audit:erase'];

/** Takes the writer's lock: nobody else may write this log meanwhile. */
async function inPlace(wanted: Wanted, given: Given, io: Io): Promise<number> {
  const { home, issuer, subject, basis, dryRun } = wanted;
  const path = join(home, 'store', 'gatewrit.db');
  const log = join(home, 'audit');
  const replicas = existsSync(log) && existsSync(path) ? replicasIn(log) : [];
  if (replicas.length === 0)
    throw new InternalError('audit.unreadable', `${home} holds no audit log with its keys`, { kind: 'outage' });
  const keys = { folder: join(home, 'keys'), generate: false };
  const [verifier] = readVerifiers(join(keys.folder, 'audit.pub'));
  const tenant = textOf(given, 'tenant') ?? 'default';
  const whom = { tenant, subject: principalKey(tenant, issuer, subject) };
  const store = openSqliteStore({ path });
  try {
    const audit = await openFirst(replicas, {
      settings: auditSettings.parse({ kek: keptKek(keys.folder) }),
      home,
      keys,
      store,
      deployment: verifier!.name,
      onFatal: (error) => io.stderr(`gatewrit audit erase: ${error.message}\n`),
    });
    try {
      // Nothing is recorded of a subject nobody knows: the name may be a slip.
      const key = await audit.keyOf(whom);
      if (dryRun || key === null) return report(wanted, { key, tenant }, given, io);
      const { index, id, ...done } = await audit.erase({ ...whom, basis, by: operator() });
      return report(wanted, { key: done.key, tenant, record: { index, id } }, given, io);
    } finally {
      await audit.close();
    }
  } finally {
    await store.close();
  }
}

/** One that was retired takes no record any more; what is erased, is erased for all of them. */
async function openFirst(replicas: readonly string[], options: Omit<AuditOptions, 'replica'>): Promise<Audit> {
  const [replica, ...more] = replicas;
  try {
    return await openAudit({ ...options, replica: replica! });
  } catch (error) {
    if (more.length > 0 && error instanceof InternalError && error.code === 'audit.retired')
      return openFirst(more, options);
    throw error;
  }
}

const replicasIn = (log: string) =>
  readdirSync(log)
    .filter((name) => existsSync(join(log, name, 'segments')))
    .sort();

/** Whoever can open the log on this machine; nobody has signed in. */
const operator = () => `operator uid ${process.getuid?.() ?? 'unknown'}`;

function report({ issuer, subject, dryRun }: Wanted, { key, tenant, record }: Said, given: Given, io: Io): number {
  const erased = !dryRun && key !== null;
  if (given.json) io.stdout(`${JSON.stringify({ erased, dryRun, tenant, key, record: record ?? null })}\n`);
  else io.stdout(textFor());
  return key === null ? 1 : 0;

  function textFor(): string {
    const who = `${visible(subject)} of ${visible(issuer)} in tenant ${visible(tenant)}`;
    if (key === null) return `There is no key of ${who}: nothing of theirs can be opened.\n`;
    if (dryRun) return `There is a key of ${who}: ${key}. Nothing was deleted.\n`;
    return `Erased ${who}: key ${key} is deleted, record ${record?.index} says so.\nOther processes of the gateway may use it for up to 60 s more; backups of the store still hold it.\n`;
  }
}
