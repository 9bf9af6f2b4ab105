import { constants } from 'node:os';
import { InternalError } from '../../../core/internal-error.ts';

/**
 * Failures that pass when somebody makes room: nothing was written that counts, so the log can be opened again without
 * a new start. A failed sync is never one of them, whatever it is called: Linux may have marked the pages clean
 * (audit.md 3.3).
 */
const SHORTAGES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk is read-only',
  EMFILE: 'no file descriptor is left',
  ENFILE: 'the machine has no file descriptor left',
};

/** Why nothing can be written for now, in words; null when the failure is none that passes. */
export function shortageOf(cause: unknown): string | null {
  const failure = (cause ?? {}) as NodeJS.ErrnoException;
  if (failure.syscall === 'fsync' || failure.syscall === 'fdatasync') return null;
  return SHORTAGES[codeOf(failure)] ?? null;
}

/** Node has no name for EDQUOT, only its number. */
function codeOf({ code, errno }: NodeJS.ErrnoException): string {
  return errno === -constants.errno.EDQUOT ? 'EDQUOT' : (code ?? '');
}

/** What stopped a start, in words; what is no failure of the file system stays as it is. */
export function cannotOpen(cause: unknown): unknown {
  const failure = (cause ?? {}) as NodeJS.ErrnoException;
  if (cause instanceof InternalError || failure.syscall === undefined) return cause;
  const why = SHORTAGES[codeOf(failure)] ?? 'the file system refused';
  return new InternalError('audit.cannot_open', `the audit log cannot be opened: ${why} (${failure.message})`, {
    kind: 'outage',
    cause,
  });
}
