import type { Now } from '../../core/call.ts';

/** What reads the log behind the writer: sinks and witnesses. It never holds a call up; when it must keep up and does not, no further call is let in. */
export interface Follower {
  /** One word or two, for evidence and people. */
  readonly name: string;
  /** The trees have been signed anew. Returns at once, and never throws. */
  published(): void;
  /** Why no further call may be made, or null. Asked before each: cheap. */
  behind(now: Now): string | null;
  /** Brings over what is there, within its deadline, and stops. */
  close(): Promise<void>;
}
