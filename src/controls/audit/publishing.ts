import type { Now } from '../../core/call.ts';
import { InternalError } from '../../core/internal-error.ts';
import type { Ended } from './ended.ts';
import type { Follower } from './follower.ts';
import type { Intake } from './intake.ts';
import type { Journal } from './journal/journal.ts';
import { shortageOf } from './journal/shortage.ts';
import type { Ledger, TenantLog } from './record/ledger.ts';
import { note } from './record/note.ts';
import type { StrangerBound } from './record/strangers.ts';
import type { Integration } from './tree/integration.ts';

export interface PublishingParts {
  readonly checkpointMs: number;
  readonly ended: Ended;
  readonly intake: Intake;
  readonly journal: Journal<TenantLog>;
  readonly ledger: Ledger;
  readonly system: TenantLog;
  readonly integration: Integration<TenantLog>;
  readonly strangers: StrangerBound;
  readonly followers: readonly Follower[];
  readonly clock: () => Now;
}

/** Signs, again and again, what has become durable, and tells those who follow. */
export class Publishing {
  readonly #parts: PublishingParts;
  readonly #timer: NodeJS.Timeout;

  constructor(parts: PublishingParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.checkpoint(), parts.checkpointMs);
    this.#timer.unref();
  }

  /** Signs now. Never rejects: what cannot be written ends the log. */
  async checkpoint(): Promise<void> {
    const { ended, integration, followers } = this.#parts;
    if (ended.failed) return;
    this.#countStrangers(false);
    try {
      await integration.publish();
      for (const follower of followers) follower.published();
    } catch (cause) {
      // Nothing was half placed, and what is durable is in the journal: when there is room again the next run catches up.
      if (!shortageOf(cause)) ended.halt(unpublished(cause));
    }
  }

  /** The last checkpoint, with everything in it; then those who follow bring over what is left. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#countStrangers(true);
    await this.#parts.journal.flushed();
    await this.checkpoint();
    for (const follower of this.#parts.followers.toReversed()) await follower.close();
  }

  /** Refusals that had no records of their own get one together. */
  #countStrangers(atOnce: boolean): void {
    const { ended, intake, journal, ledger, system, strangers, clock } = this.#parts;
    if (ended.failed || journal.closed || !intake.roomForStrangers()) return;
    const now = clock();
    const counted = strangers.due(now.mono, atOnce);
    if (counted) ledger.write(system, note('refusals', now.utc, { ...counted }), null);
  }
}

function unpublished(cause: unknown): InternalError {
  if (cause instanceof InternalError) return cause;
  return new InternalError('audit.failed', 'the trees of the audit log cannot be written', { kind: 'outage', cause });
}
