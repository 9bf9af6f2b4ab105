import type { RecordKind } from '../format/envelope.ts';

/** Acts of workflows that leave a record of their own. */
export const EVENT_KINDS = ['approval', 'registry', 'settings', 'erasure', 'keys', 'operation'] as const;
export type EventKind = (typeof EVENT_KINDS)[number] & RecordKind;

export interface RecordEvent {
  readonly kind: EventKind;
  readonly tenant: string;
  /** Whose key seals the payload (`Principal.key`); needed when there is one. */
  readonly subject?: string;
  /** Facts, never values of a call; goes into the sealed `meta` as canonical JSON. */
  readonly meta: Readonly<Record<string, unknown>>;
  readonly payload?: Uint8Array;
  /** Earlier leaves of the same tenant's tree. */
  readonly refs?: readonly number[];
  /** Id of the approval this decides: the intent that uses it refers to this record. */
  readonly approval?: string;
}
