import { LEGACY_REVISIONS, type Reply, type Revision, type Span } from '../../../core/call.ts';
import { sha256Base64Url } from '../../../core/crypto/digest.ts';
import { canonicalTokens } from '../../../core/mcp/arguments-digest.ts';
import { downLevel } from '../../../core/mcp/down-level.ts';
import { takeReceipt } from '../../../core/mcp/receipt.ts';
import { scanDocument, scanMessage } from '../../../core/mcp/scanner.ts';

/**
 * An answer that somebody kept, against the outcome that was recorded. The outcome hashes the bytes of `result` (or
 * `error`) as they left redaction: before the receipt, and before the words of an older revision.
 */
export interface SavedAnswer {
  readonly kind: Reply['kind'];
  /** As kept, attacker-controlled. */
  readonly receipt: string | null;
  /** What may have been hashed. */
  readonly before: readonly Uint8Array[];
  readonly without: Uint8Array;
}

export interface RecordedReply {
  /** Digest and kind of the outcome's meta. */
  readonly digest: string;
  readonly kind: string;
  /** The reply itself, where the record keeps it and it is opened. */
  readonly bytes: Uint8Array | null;
}

/** What an outcome says of its reply; null for a refusal, which hashes none. */
export function replyOf(
  meta: Readonly<Record<string, unknown>>,
  payload: ReadonlyMap<string, Uint8Array> | null,
): RecordedReply | null {
  const { reply, reply_kind } = meta;
  if (typeof reply !== 'string' || typeof reply_kind !== 'string') return null;
  return { digest: reply, kind: reply_kind, bytes: payload?.get('reply') ?? null };
}

/** What has been found: the very bytes; those bytes in the words of an older revision; or the same JSON value. */
export type AnswerMatch =
  | { readonly as: 'bytes' }
  | { readonly as: 'words'; readonly revision: Revision }
  | { readonly as: 'value' };

/** Methods whose results an older revision words differently, and one for all others. */
const WORDED = ['tools/call', 'tools/list', 'prompts/get', 'resources/read', 'ping'] as const;

/**
 * Reads what was kept: a whole JSON-RPC response, an event stream that ends in one, or the result alone. Null when it is
 * none of them.
 */
export function readSavedAnswer(file: Uint8Array): SavedAnswer | null {
  const bytes = lastEvent(file) ?? file;
  const message = scanMessage(bytes);
  if (typeof message === 'string') return null;
  if (message.jsonrpc && message.error && !message.result) return savedError(bytes, message.error);
  const result = message.jsonrpc && message.result ? part(bytes, message.result) : bytes;
  const taken = takeReceipt(result);
  return taken && { kind: 'result', ...taken };
}

function savedError(bytes: Uint8Array, span: Span): SavedAnswer {
  const error = part(bytes, span);
  return { kind: 'error', receipt: null, before: [error], without: error };
}

/** Null: it is not, or cannot be shown to be, the answer that was recorded. */
export function matchAnswer(saved: SavedAnswer, recorded: RecordedReply): AnswerMatch | null {
  if (saved.kind !== recorded.kind) return null;
  if (saved.before.some((bytes) => sha256Base64Url(bytes) === recorded.digest)) return { as: 'bytes' };
  const { bytes } = recorded;
  // Whoever opened the record may be wrong about it; the digest is not.
  if (bytes === null || sha256Base64Url(bytes) !== recorded.digest) return null;
  const value = tokensOf(saved.without);
  if (value === null) return null;
  for (const revision of LEGACY_REVISIONS)
    for (const method of WORDED) {
      const worded = downLevel({ kind: saved.kind, bytes }, method, revision);
      if (saved.before.some((one) => Buffer.compare(one, worded) === 0)) return { as: 'words', revision };
    }
  const values = [
    bytes,
    ...LEGACY_REVISIONS.flatMap((revision) =>
      WORDED.map((method) => downLevel({ kind: saved.kind, bytes }, method, revision)),
    ),
  ];
  return values.some((one) => tokensOf(one) === value) ? { as: 'value' } : null;
}

/** Key order, blanks and escapes aside; a number is its lexeme. An empty `_meta` says nothing. */
function tokensOf(bytes: Uint8Array): string | null {
  const taken = takeReceipt(bytes);
  return taken && canonicalTokens(taken.without);
}

/** The last message of an event stream that is one; null when it is no event stream. */
function lastEvent(file: Uint8Array): Uint8Array | null {
  if (typeof scanDocument(file) !== 'string') return null;
  const lines = Buffer.from(file.buffer, file.byteOffset, file.length)
    .toString('utf8')
    .split(/\r\n|\r|\n/);
  const last = lines.findLast((line) => line.startsWith('data:') && line.length > 'data: '.length);
  return last === undefined ? null : Buffer.from(last.slice('data:'.length).trim());
}

function part(bytes: Uint8Array, { start, end }: Span): Uint8Array {
  return bytes.subarray(start, end);
}
