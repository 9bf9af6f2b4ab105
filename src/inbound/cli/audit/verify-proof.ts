import { join } from 'node:path';
import {
  decodePayload,
  MAX_PROOF_BYTES,
  matchAnswer,
  type ProofReport,
  readSavedAnswer,
  readVerifiers,
  readWitnesses,
  readWitnessesIfAny,
  replyOf,
  type SavedAnswer,
  verifyProofs,
  WITNESS_KEYS_FILE,
} from '../../../controls/audit/index.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';
import { inAnswerWords, readAnswerFile, readBounded } from './answer-words.ts';
import { visible } from './record-text.ts';

export const verifyProofAction: Action = {
  usage: `usage: gatewrit audit verify-proof FILE [--key FILE] [--witness FILE] [--reply FILE] [--home D] [--json]

Checks a proof that audit prove wrote, offline, with the public key of the log and nothing else. Says what is proven, and
what is not.

options
  --key FILE      public key of the log (default <home>/keys/audit.pub), from somebody you trust and not with the proof
  --witness FILE  public keys of witnesses (default <home>/keys/witnesses.pub where it is there)
  --reply FILE    an answer that somebody kept: is it the one whose outcome is proven? Needs a proof with its meta part
  --home D        home of the gateway (default .gatewrit)
  --json          machine-readable answer

exit: 0 proven, 1 a finding, 2 wrong use, 3 could not run

example
  gatewrit audit verify-proof call.tlog-proof --key audit.pub
`,
  options: {
    home: { type: 'string' },
    key: { type: 'string' },
    witness: { type: 'string' },
    reply: { type: 'string' },
  },
  run(given, io) {
    const [file] = given.positionals;
    return file === undefined
      ? 'name the file that holds the proof'
      : (surplus(given, 1) ?? verifyFile(file, given, io));
  },
};

function verifyFile(file: string, given: Given, io: Io): number {
  const keys = join(textOf(given, 'home') ?? '.gatewrit', 'keys');
  const key = textOf(given, 'key') ?? join(keys, 'audit.pub');
  const witness = textOf(given, 'witness');
  const reply = textOf(given, 'reply');
  const verifiers = readVerifiers(key);
  const witnesses = witness ? readWitnesses(witness) : readWitnessesIfAny(join(keys, WITNESS_KEYS_FILE));
  const saved = reply === undefined ? null : readAnswerFile(reply, readSavedAnswer);
  const reports = verifyProofs(readBounded(file, MAX_PROOF_BYTES).toString('utf8'), { verifiers, witnesses });
  const proven = reports.every((report) => report.ok);
  const answer = saved && compared(saved, reports);
  const ok = proven && (answer === null || answer.same);
  if (given.json) {
    const proofs = reports.map((report) => ({ ...report, disclosed: Object.fromEntries(opened(report)) }));
    io.stdout(`${JSON.stringify({ ok, key, proofs, answer: answer?.said, notProven: notProven(reports) })}\n`);
    return ok ? 0 : 1;
  }
  for (const [i, report] of reports.entries()) io.stdout(describe(report, i + 1, reports));
  if (answer) io.stdout(`answer: ${answer.said}\n`);
  for (const what of notProven(reports)) io.stdout(`not proven: ${what}\n`);
  io.stdout(proven ? 'PROVEN\n' : 'NOT PROVEN\n');
  return ok ? 0 : 1;
}

function describe(report: ProofReport, number: number, all: readonly ProofReport[]): string {
  const { origin, leaf, size, signedBy, cosignedBy, unknown, envelope, findings } = report;
  const lines = [`proof ${number}: leaf ${leaf ?? '?'} of ${origin === null ? '?' : visible(origin)}`];
  if (envelope) {
    lines.push(
      `  record: ${envelope.kind} ${visible(envelope.id)}, ${timeOf(envelope.t_ms)} by the clock of the gateway`,
    );
    for (const ref of envelope.refs) lines.push(`  refers to leaf ${ref}${whichHas(ref, report, all)}`);
  }
  if (signedBy) lines.push(`  in the tree of ${size} leaves that ${visible(signedBy)} signed`);
  for (const { name, time } of cosignedBy)
    lines.push(`  seen by the witness ${visible(name)}, ${timeOf(time * 1_000)}`);
  if (unknown > 0) lines.push(`  ${unknown} signatures by keys that were not given`);
  for (const [name, value] of opened(report)) lines.push(`  ${name}: ${visible(value)}`);
  for (const part of envelope?.parts ?? [])
    if (!report.disclosed.has(part.name)) lines.push(`  ${part.name}: sealed (${part.ct_len} bytes), its digest alone`);
  for (const what of findings) lines.push(`  FINDING ${visible(what)}`);
  return `${lines.join('\n')}\n`;
}

/** Text of every part and payload item that is disclosed; what a proof holds is attacker-controlled. */
function opened({ disclosed }: ProofReport): [string, string][] {
  return [...disclosed].flatMap(([name, plaintext]): [string, string][] => {
    if (name === 'meta') return [['meta', plaintext.toString('utf8')]];
    return [...payloadOf(plaintext)].map(([item, bytes]) => [`payload ${item}`, bytes.toString('utf8')]);
  });
}

function payloadOf(plaintext: Buffer): ReadonlyMap<string, Buffer> {
  try {
    return decodePayload(plaintext);
  } catch {
    // It is what was committed to, and of no form of ours.
    return new Map([['(of no known form)', plaintext]]);
  }
}

function compared(saved: SavedAnswer, reports: readonly ProofReport[]): { same: boolean; said: string } {
  const outcome = reports.find(({ ok, envelope }) => ok && envelope?.kind === 'outcome');
  const meta = outcome ? metaOf(outcome) : null;
  const payload = outcome?.disclosed.get('payload');
  const recorded = meta && replyOf(meta, payload ? payloadOf(payload) : null);
  const match = recorded && matchAnswer(saved, recorded);
  return { same: match !== null, said: inAnswerWords(meta, recorded, match) };
}

function metaOf({ disclosed }: ProofReport): Readonly<Record<string, unknown>> | null {
  try {
    const meta: unknown = JSON.parse(disclosed.get('meta')?.toString('utf8') ?? 'null');
    return typeof meta === 'object' ? (meta as Readonly<Record<string, unknown>> | null) : null;
  } catch {
    // It is what was committed to, and no JSON.
    return null;
  }
}

function whichHas(ref: number, { origin }: ProofReport, all: readonly ProofReport[]): string {
  const at = all.findIndex((other) => other.ok && other.origin === origin && other.leaf === ref);
  return at < 0 ? ', which is not among these proofs' : ` (proof ${at + 1})`;
}

function notProven(reports: readonly ProofReport[]): string[] {
  const said = ['that what the gateway recorded is true, or the whole of what happened'];
  if (reports.some((report) => report.cosignedBy.length === 0))
    said.push('when the tree was signed, and that others were shown the same one: no given witness has cosigned it');
  return said;
}

/** Times come out of a proof: any number may stand there. */
function timeOf(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? `${ms} ms` : time.toISOString();
}
