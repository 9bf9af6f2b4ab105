import type {
  AuthorizationAnswer,
  CedarValueJson,
  Context,
  DetailedError,
  EntityJson,
  Policy,
  PolicyJson,
  TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';
import { handle } from '../../core/ids.ts';
import { InternalError } from '../../core/internal-error.ts';

export type { CedarValueJson, EntityJson, Policy, TypeAndId };

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs');

/** What went wrong in a policy text, with the place in it (UTF-8 bytes) where Cedar knows one. */
export interface Fault {
  readonly message: string;
  readonly offset: number | null;
}

export interface Request {
  readonly principal: EntityJson & { readonly uid: TypeAndId };
  readonly action: TypeAndId;
  readonly resource: EntityJson & { readonly uid: TypeAndId };
  readonly context: Context;
}

/** `rules`: ids of the satisfied rules of the deciding kind, sorted. A fault is anything that was not a clean evaluation. */
export type Evaluation =
  | { readonly allow: boolean; readonly rules: readonly string[] }
  | { readonly fault: string; readonly cause?: unknown };

/** A policy set Cedar holds parsed. Cedar never forgets a name, so names are used again after release. */
export interface PolicySlot {
  readonly name: string;
}

/** Cedar, loaded once per control. Everything that knows the WebAssembly interface is in this file. */
export class Engine {
  readonly #cedar: Cedar;
  readonly #owner = handle();
  readonly #free: string[] = [];
  #named = 0;

  private constructor(cedar: Cedar) {
    this.#cedar = cedar;
  }

  /** Loaded here and not at import: it compiles a few megabytes of WebAssembly. */
  static async open(): Promise<Engine> {
    return new Engine(await import('@cedar-policy/cedar-wasm/nodejs'));
  }

  get version(): string {
    return this.#cedar.getCedarVersion();
  }

  /** Splits a file into its policies, as written. */
  split(text: string): { readonly policies: readonly string[] } | { readonly fault: Fault } {
    const answer = this.#cedar.policySetTextToParts(text);
    if (answer.type === 'failure') return { fault: faultOf(answer.errors[0]) };
    const template = answer.policy_templates[0];
    if (template === undefined) return { policies: answer.policies };
    const message = 'templates (?principal, ?resource) are not supported; write the policy out';
    return { fault: { message, offset: Math.max(0, Buffer.from(text).indexOf(template)) } };
  }

  /** @param text one policy that `split` returned */
  toJson(text: string): PolicyJson {
    const answer = this.#cedar.policyToJson(text);
    if (answer.type === 'success') return answer.json;
    throw new InternalError('authorization.policy_unreadable', faultOf(answer.errors[0]).message);
  }

  /** Checks rules against a schema, by id. */
  validate(
    schema: string,
    policies: Readonly<Record<string, Policy>>,
  ): { readonly errors: readonly (Fault & { id: string })[]; readonly warnings: readonly (Fault & { id: string })[] } {
    const answer = this.#cedar.validate({
      schema,
      policies: { staticPolicies: { ...policies } },
      validationSettings: { mode: 'strict' },
    });
    if (answer.type === 'failure') {
      const id = Object.keys(policies)[0] ?? '';
      return { errors: answer.errors.map((error) => ({ id, ...faultOf(error) })), warnings: [] };
    }
    const named = (found: { policyId: string; error: DetailedError }) => ({
      id: found.policyId,
      ...faultOf(found.error),
    });
    return { errors: answer.validationErrors.map(named), warnings: answer.validationWarnings.map(named) };
  }

  /** Parses a set once, for `evaluate`. */
  load(policies: Readonly<Record<string, Policy>>): PolicySlot {
    const name = this.#free.pop() ?? `${this.#owner}:${this.#named++}`;
    const answer = this.#cedar.preparsePolicySet(name, { staticPolicies: { ...policies } });
    if (answer.type === 'success') return { name };
    this.#free.push(name);
    throw new InternalError('authorization.policy_unreadable', faultOf(answer.errors[0]).message);
  }

  release(slot: PolicySlot): void {
    this.#cedar.preparsePolicySet(slot.name, { staticPolicies: {} });
    this.#free.push(slot.name);
  }

  /** Synchronous. Never throws: an exception in there is a fault like any other, and faults deny. */
  evaluate(slot: PolicySlot, request: Request): Evaluation {
    let answer: AuthorizationAnswer;
    try {
      answer = this.#cedar.statefulIsAuthorized({
        principal: request.principal.uid,
        action: request.action,
        resource: request.resource.uid,
        context: request.context,
        preparsedPolicySetId: slot.name,
        entities: [request.principal, request.resource],
      });
    } catch (cause) {
      return { fault: 'policy engine threw', cause };
    }
    // The messages of Cedar may quote values of the call; only ids go further than `cause`.
    if (answer.type === 'failure') return { fault: 'policy engine refused the request', cause: answer.errors };
    const { decision, diagnostics } = answer.response;
    if (diagnostics.errors.length > 0) {
      const ids = [...new Set(diagnostics.errors.map((error) => error.policyId))].sort();
      return { fault: `evaluation error in ${ids.join(', ')}`, cause: diagnostics.errors };
    }
    return { allow: decision === 'allow', rules: [...diagnostics.reason].sort() };
  }
}

function faultOf(error: DetailedError | undefined): Fault {
  const place = error?.sourceLocations?.[0];
  const message = [error?.message ?? 'unknown fault', place?.label, error?.help].filter(Boolean).join('; ');
  return { message, offset: place?.start ?? null };
}
