import type { Now } from '../../core/call.ts';
import type { Ended } from './ended.ts';
import type { Follower } from './follower.ts';
import type { Journal } from './journal/journal.ts';
import type { Ledger, TenantLog } from './record/ledger.ts';
import { note } from './record/note.ts';
import type { AuditSettings } from './settings.ts';

/** A refusal's record is of nearly fixed size; this bounds the share of strangers after a restart. */
const STRANGER_RECORD_BYTES = 900;

export interface IntakeParts {
  readonly settings: AuditSettings;
  readonly ended: Ended;
  readonly journal: Journal<TenantLog>;
  readonly ledger: Ledger;
  readonly system: TenantLog;
  readonly followers: readonly Follower[];
}

/** Whether another call may begin: asked before each, so cheap. What can not be recorded must not run. */
export class Intake {
  readonly #parts: IntakeParts;
  #saidFull = false;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Why nothing more is taken, in words; null: a call may begin. */
  closedBecause(now: Now): string | null {
    const { settings, ended, journal, followers } = this.#parts;
    if (ended.why) return ended.why;
    if (journal.closed) return journal.closed.message;
    if (journal.pendingBytes > settings.pendingBytes) return 'too much waits for the disk';
    if (journal.busyFor(now.mono) > settings.stallMs) return 'the disk does not answer';
    for (const follower of followers) {
      const why = follower.behind(now);
      if (why) return why;
    }
    return journal.bytes < settings.volumeBytes ? null : this.#full(now);
  }

  /** May those without a principal still have records of their own? */
  roomForStrangers(): boolean {
    const { settings, system } = this.#parts;
    return system.nextLeaf * STRANGER_RECORD_BYTES < settings.volumeBytes / 10;
  }

  #full(now: Now): string {
    const { ledger, system } = this.#parts;
    if (!this.#saidFull) {
      this.#saidFull = true;
      ledger.write(system, note('full', now.utc, { reason: 'volumeBytes is used up; refusing' }), null);
    }
    return 'the audit log is full';
  }
}
