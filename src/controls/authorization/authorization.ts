import type { Arguments, Decision, Now, Principal, Target, TaskRef } from '../../core/call.ts';
import type { Refusal } from '../../core/stage.ts';
import { compileBundle } from './bundle.ts';
import type { Catalogue } from './catalogue.ts';
import { Engine } from './engine.ts';
import { readPolicyFolder } from './folder.ts';
import { type FaultReport, Judge, type Visibility } from './judge.ts';
import type { Rule } from './rules.ts';
import type { AuthorizationSettings } from './settings.ts';
import { type AuthorizationStages, stagesOf } from './stages.ts';

export interface Authorization {
  readonly stages: AuthorizationStages;
  readonly mode: AuthorizationSettings['mode'];
  /** Digest of the whole policy that holds now, catalogue included. */
  readonly version: string;
  readonly catalogue: Pick<Catalogue, 'scopes' | 'accepts'>;
  /** Every rule that holds now, built-in ones first. */
  readonly rules: readonly Rule[];
  /** Synchronous and remembered: lists are filtered by it, events are let through by it. */
  visible(principal: Principal, target: Target): Visibility;
  /** Whether it may know of it at all; calling it may need more. */
  mayKnow(principal: Principal, target: Target): boolean;
  /** As the stage decides, for what is asked for without a call of its own. Visibility is not judged. */
  decide(principal: Principal, target: Target, args: Arguments, now: Now): Decision | Refusal;
  /** For a state of a task that is told on a stream: as the stage decides when it is asked for. Visibility is not judged. */
  decideTask(principal: Principal, target: Target, task: TaskRef, now: Now): Decision | Refusal;
  /** Rules that may speak about a target, for people. */
  rulesFor(target: Target): readonly Rule[];
  /**
   * Reads the folder again and changes over at once. Calls that are being judged finish under the old policy.
   * @throws SettingsError and keeps the old policy whole
   */
  reload(): Promise<void>;
  close(): void;
}

export interface AuthorizationOptions {
  readonly settings: AuthorizationSettings;
  /** `<home>/policy` */
  readonly folder: string;
  readonly now: () => Now;
  /** Where policy faults go that must not show in an answer. Silent when left out. */
  readonly report?: FaultReport;
}

/**
 * Reads the policy folder and stands ready to judge.
 * @throws SettingsError naming file and reason when anything in the folder is wrong; there is no half a policy
 */
export async function openAuthorization(options: AuthorizationOptions): Promise<Authorization> {
  const engine = await Engine.open();
  const build = async () =>
    new Judge({
      engine,
      bundle: compileBundle(engine, await readPolicyFolder(options.folder)),
      settings: options.settings,
      clock: options.now,
      report: options.report ?? (() => {}),
    });
  let judge = await build();
  let reloading: Promise<void> = Promise.resolve();

  const change = async () => {
    const next = await build();
    const old = judge;
    judge = next;
    old.release();
  };
  return {
    stages: stagesOf(() => judge),
    mode: options.settings.mode,
    get version() {
      return judge.bundle.version;
    },
    get catalogue() {
      return judge.bundle.catalogue;
    },
    get rules() {
      return judge.bundle.rules;
    },
    visible: (principal, target) => judge.visibility(principal, target),
    mayKnow: (principal, target) => judge.visibility(principal, target) !== 'hidden',
    decide: (principal, target, args, now) => judge.decide(principal, target, args, now),
    decideTask: (principal, target, task, now) => judge.decideTask(principal, target, task, now),
    rulesFor: (target) => judge.rulesFor(target),
    // One after the other, so that the folder read last is the one that holds.
    reload() {
      reloading = reloading.catch(() => {}).then(change);
      return reloading;
    },
    close: () => judge.release(),
  };
}
