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
