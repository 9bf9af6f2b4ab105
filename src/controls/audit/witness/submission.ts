import { HASH_BYTES } from '../../../core/crypto/merkle.ts';
import { splitNote } from '../../../core/crypto/signed-note.ts';

/** The body of `add-checkpoint` (C2SP tlog-witness v1.0.0): what a log sends and a witness reads. */
export interface Submission {
  /** Size of the tree that the witness cosigned last, as far as the log knows. */
  readonly old: number;
  readonly proof: readonly Uint8Array[];
  /** The checkpoint with its signature lines. */
  readonly note: string;
}

/** A proof of two trees of 2^63 leaves is no longer. */
const MAX_PROOF = 63;
/** A checkpoint, its signature lines and a proof are far shorter. */
export const MAX_SUBMISSION_BYTES = 16 * 1024;

export function submissionText({ old, proof, note }: Submission): string {
  const lines = proof.map((node) => `${Buffer.from(node).toString('base64')}\n`);
  return `old ${old}\n${lines.join('')}\n${note}`;
}

/** Reads an attacker-controlled body; null when it is not exactly of this form. */
export function parseSubmission(body: Uint8Array): Submission | null {
  const text = Buffer.from(body).toString();
  // A byte that is no UTF-8 would read as U+FFFD.
  if (!Buffer.from(text).equals(body)) return null;
  const gap = text.indexOf('\n\n');
  if (gap < 0) return null;
  const [first = '', ...lines] = text.slice(0, gap).split('\n');
  const size = /^old (0|[1-9][0-9]{0,15})$/.exec(first);
  const old = Number(size?.[1]);
  if (!size || !Number.isSafeInteger(old) || lines.length > MAX_PROOF) return null;
  const proof = lines.map((line) => Buffer.from(line, 'base64'));
  if (proof.some((node, i) => node.length !== HASH_BYTES || node.toString('base64') !== lines[i])) return null;
  const note = text.slice(gap + 2);
  return splitNote(note) && { old, proof, note };
}
