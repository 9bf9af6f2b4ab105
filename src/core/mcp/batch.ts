import type { Span } from '../call.ts';
import { elementsOf } from './elements.ts';
import { type ScanFault, type ScanLimits, scanDocument } from './scanner.ts';

/** Why an array is no batch. */
export type BatchFault = ScanFault | 'empty' | 'too_many';

/**
 * Where the messages of a batch lie. Each is a message of its own: what it is, is for validation.message to judge; an
 * element that is itself an array is refused there like any batch.
 * @param bytes the body, attacker-controlled
 * @param max messages in one batch
 */
export function splitBatch(bytes: Uint8Array, limits: ScanLimits, max: number): readonly Span[] | BatchFault {
  const document = scanDocument(bytes, limits);
  if (typeof document === 'string') return document;
  if (document.root !== 'array') return 'not_object';
  const messages = elementsOf(bytes, document.value, max);
  if (messages === null) return 'too_many';
  return messages.length === 0 ? 'empty' : messages;
}
