import { readFileSync, statSync } from 'node:fs';
import type { AnswerMatch, RecordedReply, SavedAnswer } from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';

/** No answer is as large as this. */
const MAX_BYTES = 64 * 1024 * 1024;

/** @throws InternalError `audit.unreadable` */
export function readAnswerFile(path: string, read: (bytes: Uint8Array) => SavedAnswer | null): SavedAnswer {
  const saved = read(readBounded(path, MAX_BYTES));
  if (saved) return saved;
  throw unreadable(`${path} is no answer: one JSON-RPC response, an event stream that ends in one, or its result`);
}

export function readBounded(path: string, most: number): Buffer {
  try {
    if (statSync(path).size <= most) return readFileSync(path);
  } catch (cause) {
    throw unreadable(`${path} cannot be read`, cause);
  }
  throw unreadable(`${path} is larger than ${most} bytes`);
}

function unreadable(message: string, cause?: unknown): InternalError {
  return new InternalError('audit.unreadable', message, { kind: 'outage', cause });
}

/** What comparing a kept answer with a recorded outcome has come to. */
export function inAnswerWords(
  meta: Readonly<Record<string, unknown>> | null,
  recorded: RecordedReply | null,
  match: AnswerMatch | null,
): string {
  if (match?.as === 'bytes') return 'the answer is the one that was recorded, byte for byte';
  if (match?.as === 'words')
    return `the answer is the one that was recorded, byte for byte, in the words of ${match.revision}`;
  if (match?.as === 'value')
    return 'the answer has the JSON value of the one that was recorded; its bytes were written anew since';
  if (recorded) {
    const more = recorded.bytes ? '' : '; the reply itself is not at hand, so only its very bytes could be recognised';
    return `the answer is NOT the one that was recorded${more}`;
  }
  if (typeof meta?.['code'] === 'string')
    return `nothing to compare with: the call was refused (${meta['code']}), and the record holds no digest of an answer`;
  return 'nothing to compare with: no outcome with its meta part opened';
}
