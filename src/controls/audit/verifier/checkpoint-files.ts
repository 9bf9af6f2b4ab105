import { type Cosigned, openCosigned, type WitnessVerifier } from '../../../core/crypto/cosignature.ts';
import { type Checkpoint, type NoteVerifier, openNote, parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import type { Saying } from './findings.ts';
import type { LogSource } from './source.ts';

/** A checkpoint with its signature lines; what is longer is none. */
const MAX_NOTE_BYTES = 64 * 1024;

export interface SignedCheckpoint extends Checkpoint {
  /** Signature lines by keys that were not given. */
  readonly unknown: number;
}

/** The checkpoint in an attacker-controlled note; null when it is none, or no given key signed it. */
export function openCheckpoint(note: string, verifiers: readonly NoteVerifier[]): SignedCheckpoint | null {
  const opened = openNote(note, verifiers);
  const checkpoint = opened ? parseCheckpoint(opened.text) : null;
  return checkpoint && { ...checkpoint, unknown: opened!.unknown };
}

/** Reads `<path>`; null when there is no such file or it holds no note. */
export async function readNote(source: LogSource, path: string): Promise<string | null> {
  const bytes = await source.read(path, 0, MAX_NOTE_BYTES + 1);
  if (!bytes || bytes.length > MAX_NOTE_BYTES) return bytes ? '' : null;
  const text = bytes.toString('utf8');
  // A byte that is no UTF-8 would read as U+FFFD, and another such byte as the same.
  return Buffer.from(text).equals(bytes) ? text : '';
}

/** The `checkpoint` of a tree; null when there is none. One that is not signed by a given key is reported. */
export async function readCheckpoint(
  source: LogSource,
  file: string,
  verifiers: readonly NoteVerifier[],
  { report, skip }: Saying,
): Promise<SignedCheckpoint | null> {
  const note = await readNote(source, 'checkpoint');
  if (note === null) return null;
  const checkpoint = openCheckpoint(note, verifiers);
  if (!checkpoint) report(file, null, 'it is not a checkpoint signed by the given key');
  else if (checkpoint.unknown > 0) skip(`${file}: ${checkpoint.unknown} signatures by keys that were not given`);
  return checkpoint;
}

/** Whose signatures are looked for. */
export interface Keys {
  readonly verifiers: readonly NoteVerifier[];
  readonly witnesses: readonly WitnessVerifier[];
  /** How many of the given witnesses must have cosigned a tree, or it is a finding; 0: what is not cosigned is said. */
  readonly quorum: number;
}

/** A checkpoint that witnesses have seen. */
export interface CosignedCheckpoint extends SignedCheckpoint {
  readonly by: readonly Cosigned[];
}

/** The `cosigned` checkpoint of a tree, which may be older than its `checkpoint`; null when there is none that holds. */
export async function readCosigned(
  source: LogSource,
  file: string,
  { verifiers, witnesses, quorum }: Keys,
  { report, skip }: Saying,
): Promise<CosignedCheckpoint | null> {
  const note = await readNote(source, 'cosigned');
  if (note === null) {
    if (quorum > 0) report(file, null, tooFew(0, quorum));
    else if (witnesses.length > 0) skip(`${file}: none of the given witnesses has cosigned this tree yet`);
    return null;
  }
  const opened = openCosigned(note, verifiers, witnesses);
  const checkpoint = opened ? parseCheckpoint(opened.text) : null;
  if (!checkpoint) {
    report(file, null, 'it is not a checkpoint signed by the given key, or a cosignature of a given witness is bad');
    return null;
  }
  const { unknown, cosignedBy } = opened!;
  if (unknown > 0) skip(`${file}: ${unknown} cosignatures of witnesses whose keys were not given`);
  // Two keys of one witness are one witness.
  const count = new Set(cosignedBy.map(({ name }) => name)).size;
  const needed = Math.max(1, quorum);
  if (witnesses.length > 0 && count < needed) report(file, null, tooFew(count, needed));
  return { ...checkpoint, unknown, by: cosignedBy };
}

function tooFew(count: number, needed: number): string {
  return count === 0
    ? 'none of the given witnesses has cosigned this tree'
    : `${count} of the given witnesses ${count === 1 ? 'has' : 'have'} cosigned this tree, and ${needed} must`;
}
