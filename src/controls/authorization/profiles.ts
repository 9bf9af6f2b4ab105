import type { Target } from '../../core/call.ts';
import { Recent } from '../../core/recent.ts';
import type { Engine, Policy, PolicySlot, TypeAndId } from './engine.ts';
import { actionOf, type KnownEntity, targetEntity } from './entities.ts';
import type { Rule } from './rules.ts';
import { sketch, withoutArguments } from './sketch.ts';
import { mayApply } from './slice.ts';

/** What is known of a target once and for all: the rules that may speak about it, and its entity. */
export interface Profile {
  readonly number: number;
  readonly action: TypeAndId;
  readonly resource: KnownEntity;
  readonly deciding: PolicySlot;
  readonly sketched: PolicySlot;
  /** Null when no obligation can apply. */
  readonly obliging: PolicySlot | null;
  /** The same for a task of a call, whose arguments were judged when it began. */
  readonly ofTask: { readonly deciding: PolicySlot; readonly obliging: PolicySlot | null };
  readonly readsArguments: boolean;
  readonly readsNow: boolean;
}

const MAX_SLICES = 256;

/** Profiles of the targets of one bundle, and the parsed sets they are judged with. */
export class Profiles {
  /** The sketches of every rule: what a name that may not exist is judged with. */
  readonly allSketches: PolicySlot;
  readonly #allDeciding: PolicySlot;
  readonly #allObliging: PolicySlot;
  readonly #allTaskDeciding: PolicySlot;
  readonly #allTaskObliging: PolicySlot;
  readonly #engine: Engine;
  readonly #rules: readonly Rule[];
  readonly #slices = new Map<string, PolicySlot>();
  /** By identity first: the registry hands out the same pinned object until its snapshot changes. */
  readonly #byIdentity = new WeakMap<Target, Profile>();
  readonly #byContent: Recent<Profile>;
  #profiled = 0;
  #released = false;

  constructor(engine: Engine, rules: readonly Rule[], entries: number) {
    this.#engine = engine;
    this.#rules = rules;
    this.#byContent = new Recent(entries);
    this.allSketches = engine.load(sketches(rules));
    this.#allDeciding = engine.load(policies(rules.filter((rule) => !rule.obligation)));
    this.#allObliging = engine.load(policies(rules.filter((rule) => rule.obligation)));
    this.#allTaskDeciding = engine.load(taskPolicies(rules.filter((rule) => !rule.obligation)));
    this.#allTaskObliging = engine.load(taskPolicies(rules.filter((rule) => rule.obligation)));
  }

  /** Gives the parsed sets back. What is asked of them afterwards must not be believed. */
  release(): void {
    this.#released = true;
    const whole = [this.allSketches, this.#allDeciding, this.#allObliging];
    const ofTasks = [this.#allTaskDeciding, this.#allTaskObliging];
    for (const slot of [...this.#slices.values(), ...whole, ...ofTasks]) this.#engine.release(slot);
  }

  of(target: Target): Profile {
    const known = this.#byIdentity.get(target);
    if (known !== undefined) return known;
    const content = contentOf(target);
    let profile = this.#byContent.get(content);
    if (profile === undefined) {
      profile = this.#profile(target);
      this.#byContent.set(content, profile);
    }
    this.#byIdentity.set(target, profile);
    return profile;
  }

  #profile(target: Target): Profile {
    const rules = rulesFor(this.#rules, target);
    const deciding = rules.filter((rule) => !rule.obligation);
    const obliging = rules.filter((rule) => rule.obligation);
    const readsArguments = rules.some((rule) => rule.reads.arguments);
    const slots = {
      deciding: this.#slice('decide', deciding, policies, this.#allDeciding),
      obliging: obliging.length > 0 ? this.#slice('oblige', obliging, policies, this.#allObliging) : null,
    };
    return {
      number: this.#profiled++,
      action: actionOf(target.kind),
      resource: targetEntity(target),
      ...slots,
      sketched: this.#slice('sketch', deciding, sketches, this.allSketches),
      ofTask: readsArguments && target.kind === 'tool' ? this.#ofTask(deciding, obliging) : slots,
      readsArguments,
      readsNow: rules.some((rule) => rule.reads.now),
    };
  }

  #ofTask(deciding: readonly Rule[], obliging: readonly Rule[]): Profile['ofTask'] {
    const left = obliging.filter((rule) => !rule.reads.arguments);
    return {
      deciding: this.#slice('task', deciding, taskPolicies, this.#allTaskDeciding),
      obliging: left.length > 0 ? this.#slice('task duty', left, taskPolicies, this.#allTaskObliging) : null,
    };
  }

  /** Targets with the same rules share one parsed set; past a bound the whole set answers the same, only slower. */
  #slice(
    use: string,
    rules: readonly Rule[],
    write: (rules: readonly Rule[]) => Record<string, Policy>,
    whole: PolicySlot,
  ): PolicySlot {
    const key = `${use} ${rules.map((rule) => rule.id).join(' ')}`;
    const known = this.#slices.get(key);
    if (known) return known;
    if (this.#released || this.#slices.size >= MAX_SLICES) return whole;
    const slot = this.#engine.load(write(rules));
    this.#slices.set(key, slot);
    return slot;
  }
}

/** Rules that may speak about a target. */
export function rulesFor(rules: readonly Rule[], target: Target): readonly Rule[] {
  return rules.filter((rule) => mayApply(rule, target));
}

function policies(rules: readonly Rule[]): Record<string, Policy> {
  return Object.fromEntries(rules.map((rule) => [rule.id, rule.policy]));
}

function sketches(rules: readonly Rule[]): Record<string, Policy> {
  return drawn(rules, sketch);
}

function taskPolicies(rules: readonly Rule[]): Record<string, Policy> {
  return drawn(rules, withoutArguments);
}

function drawn(rules: readonly Rule[], draw: typeof sketch): Record<string, Policy> {
  return Object.fromEntries(
    rules.flatMap((rule) => {
      const policy = draw(rule);
      return policy ? [[rule.id, policy]] : [];
    }),
  );
}

/** Everything of a target that a rule may read, and the pins: two targets that differ in any of it share nothing. */
function contentOf(target: Target): string {
  const { kind, tenant, server, name, key, digest, manifest, effect, scopes } = target;
  return JSON.stringify([kind, tenant, server, name, key, digest, manifest, effect, scopes]);
}
