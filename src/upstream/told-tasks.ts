import type { Client } from '../core/call.ts';
import { objectEdits, patch } from '../core/mcp/patch.ts';
import { parseSpan, scanDocument } from '../core/mcp/scanner.ts';
import { dressTask, ReceivedResult } from './answer.ts';
import { bridged } from './capabilities.ts';
import { type Classified, textOf } from './message-kind.ts';
import { MAX_NOTIFICATION_BYTES } from './notices.ts';
import type { TaskNames } from './tasks.ts';

/** What a server tells of a task in `notifications/tasks`: the upstream's id, and the params as they came. */
export interface ToldTask {
  readonly id: string;
  readonly state: Uint8Array;
}

/** Null: it says something else. */
export function taskToldOf(message: Uint8Array, { kind, spans }: Classified): ToldTask | null {
  if (kind !== 'notification' || !spans?.params || message.length > MAX_NOTIFICATION_BYTES) return null;
  if (textOf(message, spans.method!) !== '"notifications/tasks"') return null;
  const span = spans.paramsMembers.get('taskId');
  const id = span && parseSpan(message, span);
  return typeof id === 'string' ? { id, state: message.subarray(spans.params.start, spans.params.end) } : null;
}

/** The state as this client may be told of it, without the server's own `_meta`; null when it cannot be. */
export function stateFor(client: Client, names: TaskNames, state: Uint8Array): ReceivedResult | null {
  const document = scanDocument(state);
  if (typeof document === 'string' || !document.members) return null;
  const meta = document.members.get('_meta');
  if (meta) return stateFor(client, names, patch(state, objectEdits(state, document.value, { remove: [meta] })));
  const dressed = dressTask(state, document, names, bridged(client, [], true), 'told');
  return dressed instanceof ReceivedResult ? dressed : null;
}
