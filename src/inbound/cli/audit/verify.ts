import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import {
  openS3Log,
  readKept,
  readVerifiers,
  readWitnesses,
  readWitnessesIfAny,
  urlSource,
  VerifierError,
  type VerifyReport,
  verifyLog,
  WITNESS_KEYS_FILE,
} from '../../../controls/audit/index.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';

export const verifyAction: Action = {
  usage: `usage: gatewrit audit verify [FOLDER|URL] [options]

Reads a whole log offline and says whether every byte is the one that was signed. FOLDER is <home>/audit (the default)
or one replica's folder in it; URL is where a web server has one of them (https://…), or a bucket (s3://BUCKET/PREFIX).
It needs public keys alone, never one from inside the log: --key FILE, else <home>/keys/audit.pub; the home is --home,
else the folder around a FOLDER named audit.

options
  --home D        home of the gateway (default .gatewrit)
  --key FILE      public key as printed into keys/audit.pub
  --witness FILE  public keys of witnesses, one of which must have cosigned every tree (default: those of
                  <home>/keys/witnesses.pub, which need not have yet)
  --quorum N      so many of the witnesses must have cosigned every tree
  --since-checkpoint FILE
                  a checkpoint kept elsewhere, which the log must contain: shows a log that was cut back or written
                  anew (repeatable)
  --replica R     a replica below an https URL: a web server cannot list them (repeatable)
  --ca FILE       certificate of the authority of an https URL, when the system does not know it
  --endpoint URL, --region R
                  of a bucket that is not Amazon's
  --json          machine-readable answer

exit: 0 good (or so young that nothing is signed yet: it says so), 1 a finding, 2 wrong use, 3 could not run

example
  gatewrit audit verify .gatewrit/audit
`,
  options: {
    home: { type: 'string' },
    key: { type: 'string' },
    witness: { type: 'string' },
    quorum: { type: 'string' },
    'since-checkpoint': { type: 'string', multiple: true },
    replica: { type: 'string', multiple: true },
    ca: { type: 'string' },
    endpoint: { type: 'string' },
    region: { type: 'string' },
  },
  run(given, io) {
    const wrong = surplus(given, 1);
    if (wrong !== null) return wrong;
    const isNumber = /^[1-9][0-9]{0,2}$/.test(textOf(given, 'quorum') ?? '1');
    return isNumber ? verify(given.positionals[0], given, io) : '--quorum is a number, such as --quorum 2';
  },
};

async function verify(where: string | undefined, given: Given, io: Io): Promise<number> {
  const { place, keyFile, open } = placeOf(where, given);
  const verifiers = readVerifiers(keyFile);
  const witness = textOf(given, 'witness');
  const witnesses = witness
    ? readWitnesses(resolve(witness))
    : readWitnessesIfAny(join(dirname(keyFile), WITNESS_KEYS_FILE));
  const quorum = quorumOf(textOf(given, 'quorum'), witnesses.length, witness ? 1 : 0);
  const kept = listOf(given, 'since-checkpoint').map((file) => readKept(resolve(file), verifiers));
  const progress = progressOf(io);
  const source = await open();
  let reports: VerifyReport[];
  try {
    const replicas = listOf(given, 'replica');
    const onProgress = progress.say;
    reports = await verifyLog(source, verifiers, { kept, replicas, onProgress, witnesses, quorum });
  } finally {
    progress.clear();
    if (typeof source !== 'string') source.close?.();
  }
  const good = reports.every((report) => report.findings.length === 0);
  if (given.json) {
    const keys = verifiers.map(({ name, keyHash }) => `${name}+${keyHash}`);
    io.stdout(`${JSON.stringify({ ok: good, folder: place, key: keyFile, keys, replicas: reports })}\n`);
    return good ? 0 : 1;
  }
  for (const report of reports) io.stdout(describe(report));
  const signers = verifiers.map(({ name, keyHash }) => `${name}+${keyHash}`).join(', ');
  io.stdout(`key: ${keyFile} (${signers})\n`);
  io.stdout(verdict(reports, good));
  return good ? 0 : 1;
}

/** @throws VerifierError `key` when more are asked for than there are keys: what cannot be checked is not granted */
function quorumOf(given: string | undefined, witnesses: number, otherwise: number): number {
  const quorum = given === undefined ? otherwise : Number(given);
  if (quorum <= witnesses) return quorum;
  throw new VerifierError(
    'key',
    `--quorum ${quorum} of ${witnesses} witnesses: name the file with their keys by --witness`,
  );
}

/** Where the log is, how it is opened, and the public key it is to be verified with. */
function placeOf(where: string | undefined, given: Given) {
  const home = textOf(given, 'home');
  const key = textOf(given, 'key');
  if (where !== undefined && /^[a-z][a-z0-9+.-]*:\/\//.test(where)) {
    const ca = textOf(given, 'ca');
    const open = async () =>
      where.startsWith('s3://')
        ? openS3Log(where, { endpoint: textOf(given, 'endpoint'), region: textOf(given, 'region') })
        : urlSource(where, { ca: ca && readFileSync(resolve(ca), 'utf8') });
    return { place: where, keyFile: resolve(key ?? join(home ?? '.gatewrit', 'keys', 'audit.pub')), open };
  }
  const place = resolve(where ?? join(home ?? '.gatewrit', 'audit'));
  if (existsSync(join(place, 'audit')) && existsSync(join(place, 'keys')))
    throw new VerifierError('unreadable', `${place} is a home, and its log one folder further: --home ${where}`);
  const around = basename(place) === 'audit' ? dirname(place) : '.gatewrit';
  const keyFile = resolve(key ?? join(home ?? around, 'keys', 'audit.pub'));
  if (keyFile.startsWith(`${place}/`))
    throw new VerifierError('key', `${keyFile} lies inside the log: a forger would have put his own there`);
  return { place, keyFile, open: async () => place };
}

function listOf(given: Given, name: string): readonly string[] {
  const value = given.values[name];
  return Array.isArray(value) ? value : [];
}

/** Said on a terminal alone, and only when it takes long enough to be asked for. */
function progressOf(io: Io) {
  const begun = performance.now();
  let said = begun;
  return {
    say(replica: string, records: number, bytes: number) {
      const now = performance.now();
      if (!process.stderr.isTTY || now - begun < 2_000 || now - said < 500) return;
      said = now;
      io.stderr(`\r${replica}: ${records} records, ${Math.round(bytes / 1e6)} MB read`);
    },
    clear() {
      if (said > begun) io.stderr('\r\u001b[K');
    },
  };
}

function verdict(reports: readonly VerifyReport[], good: boolean): string {
  if (!good) return 'BAD: the log is not the one that was signed\n';
  const young = reports.filter((report) => report.young);
  if (young.length === reports.length)
    return 'NOTHING IS SIGNED YET: the log has just begun, and nothing proves it so far; verify again in a minute\n';
  if (young.length > 0)
    return `GOOD but for ${young.map(({ replica }) => replica).join(', ')}, where NOTHING IS SIGNED YET: verify again in a minute\n`;
  return 'GOOD: every byte of the log is accounted for\n';
}

function describe(report: VerifyReport): string {
  const { replica, records, segments } = report;
  const lines =
    replica === ''
      ? []
      : [
          `replica ${replica}: ${records} ${records === 1 ? 'record' : 'records'} in ${segments} ${segments === 1 ? 'segment' : 'segments'}`,
        ];
  if (replica.startsWith('rollup/'))
    lines[0] = `${replica}: ${records} ${records === 1 ? 'checkpoint' : 'checkpoints'} of replicas`;
  for (const { origin, leaves, signed, root, cosigned } of report.trees) {
    const by = cosigned?.by.map(({ name, time }) => `${name} at ${new Date(time * 1_000).toISOString()}`).join(', ');
    const seen = cosigned ? `, ${cosigned.size} cosigned${by ? ` by ${by}` : ''}` : '';
    lines.push(`  ${origin}: ${leaves} records, ${signed} signed, root ${root}${seen}`);
  }
  for (const what of report.skipped) lines.push(`  not covered: ${what}`);
  for (const { file, index, what } of report.findings)
    lines.push(`  FINDING ${file}${index === null ? '' : ` record ${index}`}: ${what}`);
  return `${lines.join('\n')}\n`;
}
