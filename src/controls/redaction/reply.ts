import type { Call, CallWith, Finding, Reply, Result, Target } from '../../core/call.ts';
import { treeOf } from '../../core/mcp/tree.ts';
import { Refusal } from '../../core/stage.ts';
import { messageDepth, resultDepth, taskDepth, taskMessageDepth } from './depths.ts';
import { promiseOf, type Scanned, scanDocument } from './document.ts';
import { judge, UNKNOWN_PROFILE } from './judgement.ts';
import type { RedactionSettings } from './settings.ts';
import { profileOf, type Treatments } from './treatments.ts';

/** Asked after a structured result was changed: does it still match what the tool promised? */
export interface OutputSchema {
  /** @returns null when it holds, else the path of the first fault; never a value */
  check(target: Target, view: unknown): string | null;
}

export interface EventContext {
  readonly tenant: string;
  /** Profile forced by policy, or null. */
  readonly profile: string | null;
  /** It tells the state of a task, by the id that we gave it. */
  readonly task?: boolean;
}

const NO_FINDINGS: readonly Finding[] = [];

/** What a server says on its way to a client: answers and notifications. */
export class ReplyCheck {
  readonly #settings: RedactionSettings;
  readonly #treatments: Treatments;
  readonly #outputSchema: OutputSchema;

  constructor(settings: RedactionSettings, treatments: Treatments, outputSchema: OutputSchema) {
    this.#settings = settings;
    this.#treatments = treatments;
    this.#outputSchema = outputSchema;
  }

  call(call: CallWith<'principal' | 'scrubbed'>): Reply | Refusal {
    const { bytes } = call.scrubbed;
    const profile = profileOf(call.decision?.obligations.redaction ?? null, this.#settings);
    if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
    if (profile === 'none') return unchanged(call.scrubbed);
    // No target: a list from pins. An operator reviewed and signed those words, and the registry has scanned them; changing
    // an example or a pattern in a schema would only make clients call wrongly.
    if (call.target === undefined && call.message !== undefined) return unchanged(call.scrubbed);
    const promise = promiseOf(bytes);
    if (promise === 0) return unchanged(call.scrubbed);
    const treatment = this.#treatments.outgoing(call.principal.tenant, call.scrubbed.task ? taskDepth : resultDepth);
    const scanned = scanDocument(bytes, treatment, promise);
    const refused = judge(scanned, bytes, treatment) ?? this.#brokenSchema(call, scanned, bytes);
    return refused ?? replyOf(call.scrubbed, scanned.bytes, scanned.findings);
  }

  event(bytes: Uint8Array, { tenant, profile: forced, task }: EventContext): Uint8Array | Refusal {
    const profile = profileOf(forced, this.#settings);
    if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
    if (profile === 'none') return bytes;
    const treatment = this.#treatments.outgoing(tenant, task ? taskMessageDepth : messageDepth);
    const scanned = scanDocument(bytes, treatment);
    return judge(scanned, bytes, treatment) ?? scanned.bytes;
  }

  #brokenSchema({ target }: Call, scanned: Scanned, before: Uint8Array): Refusal | null {
    if (scanned.bytes === before || target?.definition['outputSchema'] === undefined) return null;
    if (!scanned.changed.has('structuredContent')) return null;
    const result = treeOf(Buffer.from(scanned.bytes).toString('utf8')) as {
      structuredContent?: unknown;
      isError?: unknown;
    };
    if (result.isError === true) return null;
    const path = this.#outputSchema.check(target, result.structuredContent);
    if (path === null) return null;
    return new Refusal('redaction.blocked', {
      path,
      text: 'A value that may not leave stands where the output schema wants another type.',
    });
  }
}

function unchanged(scrubbed: Result): Reply {
  return replyOf(scrubbed, scrubbed.bytes, NO_FINDINGS);
}

function replyOf({ kind, diagnostics }: Result, bytes: Uint8Array, findings: readonly Finding[]): Reply {
  return { kind, bytes, findings, diagnostics, status: 200 };
}
