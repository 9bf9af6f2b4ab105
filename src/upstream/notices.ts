import { patch } from '../core/mcp/patch.ts';
import { parseSpan } from '../core/mcp/scanner.ts';
import { isHeard, levelOf } from './log-level.ts';
import { type Classified, numberAt, textOf } from './message-kind.ts';
import { progressTokenOf } from './outgoing.ts';
import type { UpstreamRequest } from './request.ts';

/** Largest notification passed on: progress and log lines are for people; a result has its own cap. */
export const MAX_NOTIFICATION_BYTES = 64 * 1024;

/** How far a call has come, as last told: it only grows (protocol.md 1.9). */
export interface ProgressMark {
  last: number;
}

/**
 * A notification as this client gets it: progress under its own token and growing, log lines of the severity it asked
 * for. Null: not for it.
 * @param id our id and progress token of the call
 */
export function noticeFor(
  request: UpstreamRequest,
  id: number,
  mark: ProgressMark,
  message: Uint8Array,
  { kind, spans }: Classified,
): Uint8Array | null {
  if (kind !== 'notification' || !spans || message.length > MAX_NOTIFICATION_BYTES) return null;
  const method = textOf(message, spans.method!);
  if (method === '"notifications/progress"') {
    const token = spans.paramsMembers.get('progressToken');
    const amount = spans.paramsMembers.get('progress');
    const original = progressTokenOf(request);
    if (!token || !amount || !original || numberAt(message, token) !== id) return null;
    const progress = parseSpan(message, amount);
    if (typeof progress !== 'number' || progress <= mark.last) return null;
    mark.last = progress;
    return patch(message, [{ span: token, replacement: original }]);
  }
  if (method !== '"notifications/message"') return null;
  const wanted = levelOf(request);
  const level = spans.paramsMembers.get('level');
  return wanted !== null && level && isHeard(parseSpan(message, level), wanted) ? message : null;
}
