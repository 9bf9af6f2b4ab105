import { basename, dirname, join, resolve } from 'node:path';
import { readVerifiers, type VerifyReport, verifyLog } from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, textOf } from './action.ts';

export const verifyAction: Action = {
  usage: `usage: gatewrit audit verify [FOLDER] [--key FILE] [--home D] [--json]

Reads a whole log offline and says whether every byte is the one that was signed. FOLDER is <home>/audit (the default)
or one replica's folder in it. It needs the public key alone, never one from inside the log: --key FILE, else
<home>/keys/audit.pub; the home is --home, else the folder around a FOLDER named audit.

options
  --home D   home of the gateway (default .gatewrit)
  --key FILE public key as printed into keys/audit.pub
  --json     machine-readable answer

exit: 0 good, 1 a finding, 2 wrong use, 3 could not run

example
  gatewrit audit verify .gatewrit/audit
`,
  options: { home: { type: 'string' }, key: { type: 'string' } },
  run: (given, io) => (given.positionals.length > 1 ? null : verify(given.positionals[0], given, io)),
};

function verify(folder: string | undefined, given: Given, io: Io): number {
  const home = textOf(given, 'home');
  const key = textOf(given, 'key');
  const { json } = given;
  const place = resolve(folder ?? join(home ?? '.gatewrit', 'audit'));
  const around = basename(place) === 'audit' ? dirname(place) : '.gatewrit';
  const keyFile = resolve(key ?? join(home ?? around, 'keys', 'audit.pub'));
  if (keyFile.startsWith(`${place}/`))
    throw new InternalError(
      'audit.unreadable',
      `${keyFile} lies inside the log: a forger would have put his own there`,
      {
        kind: 'outage',
      },
    );
  const verifiers = readVerifiers(keyFile);
  const reports = verifyLog(place, verifiers);
  const good = reports.every((report) => report.findings.length === 0);
  if (json) {
    const keys = verifiers.map(({ name, keyHash }) => `${name}+${keyHash}`);
    io.stdout(`${JSON.stringify({ ok: good, folder: place, key: keyFile, keys, replicas: reports })}\n`);
    return good ? 0 : 1;
  }
  for (const report of reports) io.stdout(describe(report));
  const signers = verifiers.map(({ name, keyHash }) => `${name}+${keyHash}`).join(', ');
  io.stdout(`key: ${keyFile} (${signers})\n`);
  io.stdout(good ? 'GOOD: every byte of the log is accounted for\n' : 'BAD: the log is not the one that was signed\n');
  return good ? 0 : 1;
}

function describe(report: VerifyReport): string {
  const lines = [`replica ${report.replica}: ${report.records} records in ${report.segments} segments`];
  for (const tree of report.trees)
    lines.push(`  ${tree.origin}: ${tree.leaves} records, ${tree.signed} signed, root ${tree.root}`);
  for (const what of report.skipped) lines.push(`  not covered: ${what}`);
  for (const { file, index, what } of report.findings)
    lines.push(`  FINDING ${file}${index === null ? '' : ` record ${index}`}: ${what}`);
  return `${lines.join('\n')}\n`;
}
