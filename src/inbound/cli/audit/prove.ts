import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DISCLOSURES,
  type Disclosure,
  type LogReader,
  matchAnswer,
  type OpenRecord,
  proofOf,
  readSavedAnswer,
  readVerifiers,
  recordsMeant,
  replyOf,
  type SavedAnswer,
  verifyProofs,
} from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';
import { inAnswerWords, readAnswerFile } from './answer-words.ts';
import { withReader } from './home.ts';
import { inShort } from './record-text.ts';

export const proveAction: Action = {
  usage: `usage: gatewrit audit prove INDEX|CALL-ID|RECEIPT [--reply FILE] [--disclose meta|payload|all] [--out FILE]
       gatewrit audit prove --reply FILE

Writes the proof that a record, or every record of a call, is in the signed log: a text that verify-proof checks offline
with the public key alone. Without --disclose it holds nothing that could be read: kind, time, digests.

options
  --disclose P  hand out what was recorded: meta (who, what, decision), payload (arguments, reply), or all
  --reply FILE  an answer that somebody kept: compared with the recorded outcome, and named by the receipt in it
  --out FILE    where the proof goes (default: stdout)
  --home D      home of the gateway (default .gatewrit)
  --json        machine-readable answer

exit: 0 good, 1 no such record, not the recorded answer, or a part that no longer opens, 2 wrong use, 3 could not run, or
not signed yet

example
  gatewrit audit prove gwr1.wII1rCYU4jwj7jJ2YatL4A --disclose meta --out call.tlog-proof
`,
  options: {
    home: { type: 'string' },
    disclose: { type: 'string' },
    out: { type: 'string' },
    reply: { type: 'string' },
  },
  run(given, io) {
    const disclose = textOf(given, 'disclose') ?? 'nothing';
    const [what] = given.positionals;
    const saved = textOf(given, 'reply');
    if (!Object.hasOwn(DISCLOSURES, disclose)) return '--disclose is one of meta, payload, all';
    if (what === undefined && saved === undefined)
      return 'name a record, a call or a receipt, or an answer with --reply';
    return surplus(given, 1) ?? prove(what, disclose as Disclosure, saved, given, io);
  },
};

async function prove(
  what: string | undefined,
  disclose: Disclosure,
  file: string | undefined,
  given: Given,
  io: Io,
): Promise<number> {
  const home = textOf(given, 'home') ?? '.gatewrit';
  const say = (text: string) => io.stderr(`gatewrit audit: ${text}\n`);
  const saved = file === undefined ? null : readAnswerFile(file, readSavedAnswer);
  const meant = what ?? saved?.receipt;
  if (!meant) {
    say(`${file} has no receipt in _meta; name the record or the call`);
    return 1;
  }
  const { records, proofs } = await withReader(home, (reader) => proofsOf(reader, meant, disclose, home));
  if (records.length === 0) {
    say(`no record ${meant}; a receipt opens only in the home that gave it`);
    return 1;
  }
  const kept = DISCLOSURES[disclose];
  const closed = records.flatMap((record) =>
    kept.filter((name) => hasPart(record, name) && !record.openings.has(name)).map((name) => ({ record, name })),
  );
  for (const { record, name } of closed)
    say(
      `record ${record.index} of ${record.replica}: its ${name} cannot be opened; its key was erased or its bytes were changed`,
    );
  const text = proofs.join('');
  const out = textOf(given, 'out');
  if (out !== undefined) writeFileSync(out, text, { mode: 0o600 });
  if (given.json) io.stdout(`${JSON.stringify({ records: records.map(placeOf), proof: text })}\n`);
  else if (out === undefined) io.stdout(text);
  else for (const record of records) io.stdout(`${inShort(record)}\n`);
  const same = saved === null || answers(saved, records, say);
  return closed.length > 0 || !same ? 1 : 0;
}

async function proofsOf(reader: LogReader, meant: string, disclose: Disclosure, home: string) {
  const verifiers = readVerifiers(join(home, 'keys', 'audit.pub'));
  const records = await recordsMeant(reader, meant);
  const proofs: string[] = [];
  for (const record of records) {
    const { index, replica, leaf } = record;
    const proof = await proofOf(join(home, 'audit', replica), record, DISCLOSURES[disclose]);
    if (typeof proof !== 'string')
      throw new InternalError(
        'audit.not_signed',
        `record ${index} of ${replica} (leaf ${leaf}) is not signed yet: its tree is signed up to leaf ${proof.signed}. ` +
          'A running gateway signs every audit.checkpointMs (half a second unless set): try again; one that is stopped signs when it starts',
        { kind: 'outage' },
      );
    const [report] = verifyProofs(proof, { verifiers });
    if (!report?.ok)
      throw new InternalError(
        'audit.corrupt',
        `the log does not prove record ${index} of ${replica}: ${report?.findings.join('; ')}; run gatewrit audit verify`,
        { kind: 'outage' },
      );
    proofs.push(proof);
  }
  return { records, proofs };
}

function answers(saved: SavedAnswer, records: readonly OpenRecord[], say: (text: string) => void): boolean {
  const outcome = records.find((record) => record.envelope.kind === 'outcome');
  const recorded = outcome?.meta ? replyOf(outcome.meta, outcome.payload) : null;
  const match = recorded && matchAnswer(saved, recorded);
  say(inAnswerWords(outcome?.meta ?? null, recorded, match));
  return match !== null;
}

function hasPart({ envelope }: OpenRecord, name: string): boolean {
  return envelope.parts.some((part) => part.name === name);
}

function placeOf({ replica, index, leaf, origin, envelope }: OpenRecord): object {
  return { replica, index, leaf, origin, kind: envelope.kind, id: envelope.id, t_ms: envelope.t_ms };
}
