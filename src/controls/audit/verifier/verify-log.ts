import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type NoteVerifier, parseVerifierLine } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { type VerifyReport, verifyReplica } from './verify.ts';

/**
 * Verifies `<home>/audit` (every replica in it) or the folder of one replica, with nothing but public keys.
 * @throws InternalError `audit.unreadable` when there is no log at all
 */
export function verifyLog(folder: string, verifiers: readonly NoteVerifier[]): VerifyReport[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory())
    throw new InternalError('audit.unreadable', `${folder} is not a folder with an audit log`, { kind: 'outage' });
  if (existsSync(join(folder, 'segments'))) return [verifyReplica(folder, verifiers)];
  const reports: VerifyReport[] = [];
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    reports.push(item.isDirectory() ? verifyReplica(join(folder, item.name), verifiers) : strayFile(item.name));
  }
  if (reports.length > 0) return reports;
  throw new InternalError('audit.unreadable', `${folder} holds no audit log`, { kind: 'outage' });
}

/** Reads `audit.pub`: one verifier line per live checkpoint key. @throws InternalError `audit.unreadable` */
export function readVerifiers(path: string): NoteVerifier[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new InternalError('audit.unreadable', `the public key ${path} cannot be read; name it with --key`, {
      kind: 'outage',
      cause,
    });
  }
  const verifiers = text.split('\n').filter(Boolean).map(parseVerifierLine);
  if (verifiers.length > 0 && verifiers.every((verifier) => verifier !== null)) return verifiers;
  throw new InternalError('audit.unreadable', `${path} does not hold note verifier keys (name+hash+key)`, {
    kind: 'outage',
  });
}

function strayFile(name: string): VerifyReport {
  const finding = { file: name, index: null, what: 'a file that does not belong to the log' };
  return { replica: '', records: 0, segments: 0, trees: [], findings: [finding], skipped: [] };
}
