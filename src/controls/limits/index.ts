import type { Call, Now, SlotName } from '../../core/call.ts';
import type { RefusalCode } from '../../core/mcp/refusals.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import type { Ephemeral } from '../../core/store/ephemeral.ts';
import { Running } from './concurrency.ts';
import { countedFailures } from './counted.ts';
import { Door, type DoorFacts } from './door.ts';
import { UNLIMITED } from './drivers/unlimited.ts';
import { eventAllowance, windowAllowance } from './drivers/window.ts';
import { type Hold, holdings } from './held.ts';
import type { LimitsSettings } from './settings.ts';
import { doorStage, principalStage, targetStage } from './stages.ts';

export type { DoorFacts } from './door.ts';
export type { Hold, Holding } from './held.ts';
export { LIMITS_REFUSALS } from './refusals.ts';
export { type LimitsSettings, limitsSettings, weakLimits } from './settings.ts';

export interface Limits {
  readonly stages: {
    readonly door: Stage<'endpoint', 'door'>;
    readonly principal: Stage<'principal', 'budget'>;
    readonly target: Stage<'principal' | 'target', 'lease'>;
  };
  readonly failures: {
    /**
     * The authentication stage with its failures counted: an invalid credential or one for somebody else counts; a
     * missing or expired one does not. While their source waits, failures are answered with that wait.
     */
    counted<Needs extends SlotName>(stage: Stage<Needs, 'principal'>): Stage<Needs, 'principal'>;
    /**
     * Counts one failure where there is no stage to wrap (do not do both for one failure).
     * @returns the refusal to answer with in place of the failure, or null to answer with the failure itself
     */
    failed(address: string, now: Now): Refusal | null | Promise<Refusal | null>;
  };
  /** Judges one notification on its way to the client. */
  readonly event: (call: Call, notification: Uint8Array, now: Now) => Uint8Array | RefusalCode;
  /** The right to hold a stream, or to let a call wait for its client's answer; released by whoever holds it. */
  readonly hold: Hold;
  close(): void;
}

/** Opens the control. The ephemeral driver stays its owner's to close. */
export function openLimits(options: {
  readonly settings: LimitsSettings;
  readonly ephemeral: Ephemeral;
  readonly facts?: DoorFacts;
}): Limits {
  const { settings, ephemeral } = options;
  const door = new Door(settings, ephemeral, options.facts ?? { verified: () => false, inFlight: () => 0 });
  const events = eventAllowance(settings);
  const allowance = settings.driver === 'unlimited' ? UNLIMITED : windowAllowance(settings, ephemeral);
  return {
    stages: {
      door: doorStage(door),
      principal: principalStage(allowance),
      target: targetStage(settings, allowance, { targets: new Running(), principals: new Running() }),
    },
    failures: {
      counted: (stage) => countedFailures(stage, door),
      failed: (address, now) => door.failed(address, now),
    },
    event(call, notification, now) {
      if (call.principal === undefined) return 'limits.unavailable';
      const left = events(call.principal, now);
      return left instanceof Refusal ? left.code : notification;
    },
    hold: holdings(settings),
    close() {},
  };
}
