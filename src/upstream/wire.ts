import type { CallSignal } from '../core/call.ts';
import type { MessageSpans } from '../core/mcp/scanner.ts';
import type { Classified } from './message-kind.ts';

export const CARRIERS = ['http', 'stdio', 'sse'] as const;
export type Carrier = (typeof CARRIERS)[number];

/**
 * One JSON-RPC exchange with an upstream, whatever carries it. Bytes in, bytes out: what they mean is judged by
 * modern.ts and legacy.ts. Everything an upstream sends is attacker-controlled.
 */
export interface Outgoing {
  /** Our own request id; upstreams never see a client's. */
  readonly id: number;
  readonly method: string;
  /** The whole JSON-RPC message. */
  readonly bytes: Uint8Array;
  /** Header fields beyond content type and accept, names and values alternating. Ignored by stdio. */
  readonly headers: readonly string[];
  /** 0: who asked ends it, by `signal`. */
  readonly timeoutMs: number;
  /** Bound on one message of the answer, in bytes. */
  readonly maxBytes: number;
  readonly signal: CallSignal | null;
  /** Takes each whole message that is not the answer to `id` (notifications, requests of the upstream). */
  readonly onOther: ((message: Uint8Array, read: Classified) => void) | null;
  /** Requests of the upstream may be about this exchange; whoever takes them answers each of them. */
  readonly takesQuestions?: boolean;
  /** Take a stream that closed before the answer up again, where its events have ids (legacy HTTP only). */
  readonly resumes?: boolean;
}

export const WIRE_FAULTS = ['timeout', 'unavailable', 'protocol', 'too_large', 'cancelled'] as const;
export type WireFaultCode = (typeof WIRE_FAULTS)[number];

/** Why there is no answer. `sent` false: the upstream provably did not run the call. */
export class WireFault {
  readonly code: WireFaultCode;
  readonly sent: boolean;
  readonly evidence: string;
  /** HTTP status that says it, where one does; else 0. */
  readonly status: number;
  constructor(code: WireFaultCode, sent: boolean, evidence: string, status = 0) {
    this.code = code;
    this.sent = sent;
    this.evidence = evidence;
    this.status = status;
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

/** The stream on which a legacy HTTP upstream speaks unasked (protocol.md 1.6). */
export interface Hearing {
  readonly headers: readonly string[];
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly onMessage: (message: Uint8Array, read: Classified) => void;
  /** Told once when the upstream has opened it. */
  readonly onOpen: () => void;
}

export interface Wire {
  /** How many exchanges can run at once, where each holds a connection; absent: as many as there are. */
  readonly connections?: number;
  exchange(request: Outgoing): Promise<Incoming | WireFault>;
  /** Sends a message that has no answer (notifications, answers to questions of the upstream). Resolves with whether it was taken. */
  notify(bytes: Uint8Array, headers: readonly string[]): Promise<boolean>;
  /** Listens until the stream ends; resolves with its HTTP status. Null: this carrier has no such stream. */
  readonly hear: ((hearing: Hearing) => Promise<number | WireFault>) | null;
  /** Says that a session is over. Null: closing is enough. */
  readonly forget: ((headers: readonly string[]) => Promise<void>) | null;
  close(): Promise<void>;
}
