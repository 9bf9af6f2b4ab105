import type { Arguments, Decision, Now, Obligations, Principal, Target, TaskRef } from '../../core/call.ts';
import { InternalError } from '../../core/internal-error.ts';
import { RecentPairs } from '../../core/recent.ts';
import { Refusal } from '../../core/stage.ts';
import { BUILT_IN_PREFIX } from './built-in.ts';
import type { Bundle } from './bundle.ts';
import type { CedarValueJson, Engine, Evaluation, PolicySlot } from './engine.ts';
import { type KnownEntity, principalEntity } from './entities.ts';
import { obligationsOf } from './obligations.ts';
import { type Profile, Profiles, rulesFor } from './profiles.ts';
import type { Rule } from './rules.ts';
import type { AuthorizationSettings } from './settings.ts';
import { cedarArguments, Unjudgeable } from './values.ts';

export const VISIBILITIES = ['hidden', 'reachable', 'allowed'] as const;
/** `reachable`: only scopes are missing. `hidden`: denied even if the token held every scope there is. */
export type Visibility = (typeof VISIBILITIES)[number];

/** Told of policy faults that must not show in what the caller gets. For the operator's log. */
export type FaultReport = (fault: InternalError) => void;

const NO_CONTEXT = {};

export interface JudgeParts {
  readonly engine: Engine;
  readonly bundle: Bundle;
  readonly settings: AuthorizationSettings;
  readonly clock: () => Now;
  readonly report: FaultReport;
}

/**
 * Judges with one bundle. Everything remembered here was judged by that bundle alone and goes with it, so no answer
 * of an older policy can outlive a reload.
 */
export class Judge {
  readonly bundle: Bundle;
  readonly #parts: JudgeParts;
  readonly #everyScope: readonly string[];
  readonly #rulesById: ReadonlyMap<string, Rule>;
  readonly #profiles: Profiles;
  readonly #seen: RecentPairs<Visibility>;
  readonly #decided: RecentPairs<Decision | Refusal>;
  #released = false;

  constructor(parts: JudgeParts) {
    this.#parts = parts;
    this.bundle = parts.bundle;
    this.#everyScope = [...parts.bundle.catalogue.scopes.keys()];
    this.#rulesById = new Map(parts.bundle.rules.map((rule) => [rule.id, rule]));
    this.#profiles = new Profiles(parts.engine, parts.bundle.rules, parts.settings.cacheEntries);
    this.#seen = new RecentPairs(parts.settings.cacheEntries);
    this.#decided = new RecentPairs(parts.settings.cacheEntries);
  }

  /** Gives the parsed sets back. A judge that is asked afterwards refuses. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#profiles.release();
    this.#seen.clear();
    this.#decided.clear();
  }

  /** Remembered. For lists and events, where a name was not guessed by the caller. */
  visibility(principal: Principal, target: Target): Visibility {
    const profile = this.#profiles.of(target);
    const who = nameOf(principal);
    const known = this.#seen.get(who, profile.number);
    if (known !== undefined) return known;
    const seen = this.#look(principal, profile, profile.sketched);
    this.#seen.set(who, profile.number, seen);
    return seen;
  }

  /**
   * The same judgement for a name a caller sent. "Hidden" is never answered from memory: it costs the same two
   * evaluations over the same rules each time, whether the name exists (and was listed, or asked for, before) or not.
   */
  visibilityOfNamed(principal: Principal, target: Target | null, decoy: Target): Visibility {
    const profile = this.#profiles.of(target ?? decoy);
    const who = nameOf(principal);
    const known = target ? this.#seen.get(who, profile.number) : undefined;
    if (known !== undefined && known !== 'hidden') return known;
    const seen = this.#look(principal, profile, this.#profiles.allSketches);
    if (!target) return 'hidden';
    this.#seen.set(who, profile.number, seen);
    return seen;
  }

  /** Plain value, ≤ 1 µs when remembered. */
  decide(principal: Principal, target: Target, args: Arguments, now: Now): Decision | Refusal {
    const profile = this.#profiles.of(target);
    if (profile.readsNow) return this.#judge(principal, target, profile, args, now);
    const who = nameOf(principal);
    const what = profile.readsArguments ? `${profile.number} ${args.digest}` : profile.number;
    const known = this.#decided.get(who, what);
    if (known !== undefined) return known;
    const judged = this.#judge(principal, target, profile, args, now);
    // A fault may pass; a judgement does not change.
    if (!(judged instanceof Refusal && judged.code === 'authorization.unavailable'))
      this.#decided.set(who, what, judged);
    return judged;
  }

  /**
   * For a task of a call that was allowed: by everything but the arguments, which were judged when it began. What policy
   * demanded of the answers then holds beside what it demands now.
   */
  decideTask(principal: Principal, target: Target, task: TaskRef, now: Now): Decision | Refusal {
    const profile = this.#profiles.of(target);
    const who = nameOf(principal);
    const what = `${profile.number} task`;
    let judged = profile.readsNow ? undefined : this.#decided.get(who, what);
    if (judged === undefined) {
      judged = this.#judge(principal, target, profile, null, now);
      const mayPass = judged instanceof Refusal && judged.code === 'authorization.unavailable';
      if (!profile.readsNow && !mayPass) this.#decided.set(who, what, judged);
    }
    return judged instanceof Refusal ? judged : withDuties(judged, task.obligations);
  }

  /** Rules that may speak about a target, for people. */
  rulesFor(target: Target): readonly Rule[] {
    return rulesFor(this.bundle.rules, target);
  }

  #look(principal: Principal, profile: Profile, slot: PolicySlot): Visibility {
    const own = this.#ask(slot, this.#entityOf(principal), profile, NO_CONTEXT);
    const all = this.#ask(slot, this.#withEveryScope(principal), profile, NO_CONTEXT);
    if ('fault' in own || 'fault' in all) {
      const found = 'fault' in own ? own : (all as { fault: string; cause?: unknown });
      const message = `visibility could not be judged (${found.fault}), so the target is hidden; see the rule named`;
      this.#parts.report(new InternalError('authorization.visibility_fault', message, { cause: found.cause }));
      return 'hidden';
    }
    return own.allow ? 'allowed' : all.allow ? 'reachable' : 'hidden';
  }

  /** @param args null for a task: they were judged before */
  #judge(principal: Principal, target: Target, profile: Profile, args: Arguments | null, now: Now): Decision | Refusal {
    const { clock, settings } = this.#parts;
    const { deciding, obliging } = args === null ? profile.ofTask : profile;
    const begun = clock().mono;
    const context: Record<string, CedarValueJson> = {};
    if (profile.readsNow) context['now'] = { __extn: { fn: 'datetime', arg: new Date(now.utc).toISOString() } };
    if (profile.readsArguments && args !== null) {
      const values = cedarArguments(args.view);
      if (values instanceof Unjudgeable) return unjudgeable(values);
      context['arguments'] = values;
    }
    const own = this.#ask(deciding, this.#entityOf(principal), profile, context);
    if ('fault' in own) return unavailable(own.fault, own.cause);
    let refused: Refusal | null = null;
    let rules = own.rules;
    if (!own.allow) {
      const all = this.#ask(deciding, this.#withEveryScope(principal), profile, context);
      if ('fault' in all) return unavailable(all.fault, all.cause);
      rules = all.allow ? own.rules : all.rules;
      refused = all.allow ? this.#insufficient(target) : this.#denied(all.rules);
      if (!this.#onlyObserved(target, all)) return refused;
    }
    const duties = this.#obligations(obliging, principal, profile, context);
    if (duties instanceof Refusal) return duties;
    if (clock().mono - begun > settings.deadlineMs) return unavailable('deadline passed');
    return Object.freeze({
      obligations: duties.obligations,
      rules: Object.freeze([...rules, ...duties.rules]),
      policy: this.bundle.version,
      wouldRefuse: refused ? refused.code : null,
    });
  }

  /** Obligations are asked even for a call that observe mode lets through: it must still wait for its approval. */
  #obligations(
    obliging: PolicySlot | null,
    principal: Principal,
    profile: Profile,
    context: Record<string, CedarValueJson>,
  ): { readonly obligations: Obligations; readonly rules: readonly string[] } | Refusal {
    if (!obliging) return { obligations: obligationsOf([]) as Obligations, rules: [] };
    const asked = this.#ask(obliging, this.#entityOf(principal), profile, context);
    if ('fault' in asked) return unavailable(asked.fault, asked.cause);
    const rules = asked.allow ? asked.rules : [];
    const obligations = obligationsOf(rules.map((id) => this.#rulesById.get(id)!));
    return typeof obligations === 'string' ? unavailable(obligations) : { obligations, rules };
  }

  /** Trying out a policy must not open another tenant, nor hand out approvals. */
  #onlyObserved(target: Target, all: { allow: boolean; rules: readonly string[] }): boolean {
    if (this.#parts.settings.mode !== 'observe' || target.kind === 'admin') return false;
    return all.allow || !all.rules.some((id) => id.startsWith(BUILT_IN_PREFIX));
  }

  #insufficient(target: Target): Refusal {
    return Object.freeze(
      new Refusal('authorization.insufficient_scope', {
        scopes: target.scopes,
        evidence: `policy ${this.bundle.version}: only scopes are missing`,
      }),
    );
  }

  #denied(ids: readonly string[]): Refusal {
    const said = ids
      .map((id) => this.#rulesById.get(id)!)
      .find((rule) => rule.publicText !== null || rule.publicPath !== null);
    const because = ids.length > 0 ? `forbidden by ${ids.join(', ')}` : 'no rule permits it';
    return Object.freeze(
      new Refusal('authorization.denied', {
        ...(said?.publicText ? { text: said.publicText } : {}),
        ...(said?.publicPath ? { path: said.publicPath } : {}),
        evidence: `policy ${this.bundle.version}: ${because}`,
      }),
    );
  }

  #ask(
    slot: PolicySlot,
    principal: KnownEntity,
    profile: Profile,
    context: Record<string, CedarValueJson>,
  ): Evaluation {
    if (this.#released) return { fault: 'this policy is closed' };
    return this.#parts.engine.evaluate(slot, {
      principal,
      action: profile.action,
      resource: profile.resource,
      context,
    });
  }

  /** With the scopes its groups bring; `authority`, under which answers are remembered, covers issuer and groups. */
  #entityOf(principal: Principal): KnownEntity {
    return principalEntity(principal, this.bundle.catalogue.scopesOf(principal));
  }

  #withEveryScope(principal: Principal): KnownEntity {
    return principalEntity(principal, [...new Set([...principal.scopes, ...this.#everyScope])]);
  }
}

/** The smaller cap holds. Between two profiles, one of then and one of now, choosing would be a decision in code. */
function withDuties(decision: Decision, { redaction, maxResultBytes }: TaskRef['obligations']): Decision | Refusal {
  if (redaction === null && maxResultBytes === null) return decision;
  const now = decision.obligations;
  if (redaction !== null && now.redaction !== null && redaction !== now.redaction)
    return unavailable(`the task began under profile ${redaction}, policy now names ${now.redaction}`);
  const caps = [now.maxResultBytes, maxResultBytes].filter((cap) => cap !== null);
  const obligations = {
    ...now,
    redaction: redaction ?? now.redaction,
    maxResultBytes: caps.length === 0 ? null : Math.min(...caps),
  };
  return Object.freeze({ ...decision, obligations: Object.freeze(obligations) });
}

/** Names of principals by identity: one principal is shared by every call of its token. */
const names = new WeakMap<Principal, string>();

/** One reading only: the first of two opaque texts is counted. */
function nameOf(principal: Principal): string {
  const known = names.get(principal);
  if (known !== undefined) return known;
  const name = `${principal.authority.length} ${principal.authority}${principal.key}`;
  names.set(principal, name);
  return name;
}

function unavailable(evidence: string, cause?: unknown): Refusal {
  return new Refusal('authorization.unavailable', cause === undefined ? { evidence } : { evidence, cause });
}

function unjudgeable(found: Unjudgeable): Refusal {
  return Object.freeze(
    new Refusal('authorization.denied', {
      text: 'Policy cannot judge these arguments exactly; use plainer names and smaller numbers and trees.',
      path: found.path,
      evidence: `arguments not judgeable: ${found.reason}`,
    }),
  );
}
