import type { Header } from './header.ts';
import { REPLAY_WINDOW_MS } from './settings.ts';

/** What a repeat of the call meets. */
export type Standing =
  /** A person has yet to decide. */
  | 'waiting'
  /** Somebody is writing the next state at this moment. */
  | 'changing'
  | 'usable'
  | 'denied'
  /** Past its time, but nothing says so yet: the edge to `expired` must be recorded. */
  | 'lapsing'
  /** Expired, and the caller has not been told. */
  | 'lapsed'
  | 'replay'
  /** Used up; running, or nobody knows what came of it. */
  | 'used'
  /** No longer of any effect: the call has to be asked for anew. */
  | 'over';

/** An edge whose record was not confirmed in this time was left by a process that ended; it is finished by the next. */
export const EDGE_MS = 5_000;

export function abandoned(header: Header, now: number): boolean {
  return header.was !== null && now - header.since >= EDGE_MS;
}

/** @param holdMs how long an unknown outcome blocks the same call */
export function standing(header: Header, now: number, holdMs: number): Standing {
  if (header.was === 'new') return 'waiting';
  if (header.was !== null) return header.was === 'pending' && now < header.decideBy ? 'waiting' : 'changing';
  switch (header.state) {
    case 'pending':
      return now < header.decideBy ? 'waiting' : 'lapsing';
    case 'approved':
      return header.runBy !== null && now < header.runBy ? 'usable' : 'lapsing';
    case 'denied':
      // A denial holds for the rest of its window: repeating a denied call bothers nobody.
      return now < header.decideBy || !header.told ? 'denied' : 'over';
    case 'expired':
      return header.told ? 'over' : 'lapsed';
    case 'returned':
    case 'failed':
      if (header.settledAt === null || now - header.settledAt > REPLAY_WINDOW_MS) return 'over';
      return header.outcome ? 'replay' : 'used';
    case 'consumed':
    case 'unknown':
      return header.consumedAt !== null && now - header.consumedAt >= holdMs ? 'over' : 'used';
  }
}
