import { parseSpan } from '../core/mcp/scanner.ts';
import { type Classified, textOf } from './message-kind.ts';
import { MAX_NOTIFICATION_BYTES } from './notices.ts';

/** The resource a notification says was updated; null: it says something else. */
export function updatedResource(message: Uint8Array, { kind, spans }: Classified): string | null {
  if (kind !== 'notification' || !spans || message.length > MAX_NOTIFICATION_BYTES) return null;
  if (textOf(message, spans.method!) !== '"notifications/resources/updated"') return null;
  const uri = spans.paramsMembers.get('uri');
  const value = uri && parseSpan(message, uri);
  return typeof value === 'string' ? value : null;
}

/** The notification in our own words: nothing of the upstream's but the URI, which was asked for. */
export function updateOf(uri: string): Uint8Array {
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } }));
}
