import type { MessageSpans } from '../core/mcp/scanner.ts';
import type { Classified } from './message-kind.ts';

/**
 * One JSON-RPC exchange with an upstream, whatever carries it. Bytes in, bytes out: what they mean is judged by
 * connection.ts. Everything an upstream sends is attacker-controlled.
 */
export interface Outgoing {
  /** Our own request id; upstreams never see a client's. */
  readonly id: number;
  readonly method: string;
  /** The whole JSON-RPC message. */
  readonly bytes: Uint8Array;
  /** Header fields beyond content type and accept, names and values alternating. Ignored by stdio. */
  readonly headers: readonly string[];
  readonly timeoutMs: number;
  /** Bound on one message of the answer, in bytes. */
  readonly maxBytes: number;
  readonly signal: AbortSignal | null;
  /** Takes each whole message that is not the answer to `id` (notifications, requests of the upstream). */
  readonly onOther: ((message: Uint8Array, read: Classified) => void) | null;
}

export const WIRE_FAULTS = ['timeout', 'unavailable', 'protocol', 'too_large', 'cancelled'] as const;
export type WireFaultCode = (typeof WIRE_FAULTS)[number];

/** Why there is no answer. `sent` false: the upstream provably did not run the call. */
export class WireFault {
  readonly code: WireFaultCode;
  readonly sent: boolean;
  readonly evidence: string;
  constructor(code: WireFaultCode, sent: boolean, evidence: string) {
    this.code = code;
    this.sent = sent;
    this.evidence = evidence;
  }
}

export interface Incoming {
  /** HTTP status; 200 over stdio. */
  readonly status: number;
  /** `Mcp-Session-Id` of the answer, legacy HTTP only. */
  readonly session: string | null;
  /** The JSON-RPC response, or whatever body came with an error status. */
  readonly bytes: Uint8Array;
  /** Spans of `bytes` when the carrier has had to read them already. */
  readonly spans: MessageSpans | null;
}

export interface Wire {
  exchange(request: Outgoing): Promise<Incoming | WireFault>;
  /** Sends a message that has no answer (notifications, answers to requests of the upstream). Best effort. */
  notify(bytes: Uint8Array, headers: readonly string[]): void;
  close(): Promise<void>;
}
