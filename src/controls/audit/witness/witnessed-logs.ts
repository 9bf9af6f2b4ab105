import { type NoteVerifier, parseVerifierLine } from '../../../core/crypto/signed-note.ts';

/** A log that a witness looks after: a key and the origins it may sign for. */
export interface WitnessedLog {
  readonly verifier: NoteVerifier;
  /** Exactly this origin, or every origin that begins with it when it ends with `/`. */
  readonly origin: string;
}

/**
 * Reads `VKEY` or `VKEY:ORIGIN`. Without an origin: those of a deployment, which begin with the key's name and a slash.
 * @returns null when it is malformed
 */
export function parseWitnessedLog(text: string): WitnessedLog | null {
  const match = /^([^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+)(?::(\S+))?$/.exec(text);
  const verifier = match && parseVerifierLine(match[1]!);
  return verifier ? { verifier, origin: match[2] ?? `${verifier.name}/` } : null;
}

/** The keys that may sign for an origin; empty: it is unknown here. */
export function keysFor(origin: string, logs: readonly WitnessedLog[]): NoteVerifier[] {
  return logs
    .filter((log) => (log.origin.endsWith('/') ? origin.startsWith(log.origin) : origin === log.origin))
    .map(({ verifier }) => verifier);
}
