import { existsSync, readFileSync } from 'node:fs';
import { parseWitnessLine, type WitnessVerifier } from '../../../core/crypto/cosignature.ts';
import { VerifierError } from '../verifier/verifier-error.ts';

/** Where a home keeps the keys of its witnesses, below `keys/`. */
export const WITNESS_KEYS_FILE = 'witnesses.pub';

/** Reads one key of a witness per line. @throws VerifierError `key` */
export function readWitnesses(path: string): WitnessVerifier[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new VerifierError('key', `the keys of witnesses in ${path} cannot be read`, cause);
  }
  const witnesses = text.split('\n').filter(Boolean).map(parseWitnessLine);
  if (witnesses.length > 0 && witnesses.every((witness) => witness !== null)) return witnesses;
  throw new VerifierError('key', `${path} does not hold witness keys (name+hash+key, of type 04)`);
}

/** The same where the file may be absent: a log without witnesses. */
export function readWitnessesIfAny(path: string): WitnessVerifier[] {
  return existsSync(path) ? readWitnesses(path) : [];
}
