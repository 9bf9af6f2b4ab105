import type { RefusalCode } from './mcp/refusals.ts';

/** Facts that go with a refusal. Only `text`, `path`, `scopes`, `retryAfterMs`, `approval` and `data` may reach the caller. */
export interface RefusalFacts {
  /** Public sentence for the caller, when the table's default says too little. Never a value of the call. */
  readonly text?: string;
  /** JSON path of the offending argument, e.g. `/sql`. Never a value. */
  readonly path?: string;
  /** All scopes this operation needs, for the challenge. */
  readonly scopes?: readonly string[];
  readonly retryAfterMs?: number;
  readonly approval?: { readonly id: string; readonly expiresAt: number };
  /** Member `data` of a JSON-RPC error where the specification defines one. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** Lexeme of the request id, when it was read but no message was left: the answer repeats it (protocol.md 1.3). */
  readonly requestId?: Uint8Array;
  /** The message was one of an older revision, but none was left on the call: the answer is in the words of its era. */
  readonly legacy?: true;
  /** For the record and the operator's log only: the reason in full. Must hold no value of the call in clear. */
  readonly evidence?: string;
  /** The thrown thing behind it, for the operator's log only. */
  readonly cause?: unknown;
}

/** An expected "no", returned, never thrown. `code` is `control.reason` from the closed table in core/mcp/refusals.ts. */
export class Refusal {
  readonly code: RefusalCode;
  readonly facts: RefusalFacts;
  constructor(code: RefusalCode, facts: RefusalFacts = {}) {
    this.code = code;
    this.facts = facts;
  }
}
