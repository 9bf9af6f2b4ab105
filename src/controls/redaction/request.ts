import type { Call, CallWith, Finding, Slots, Target } from '../../core/call.ts';
import { isTaskMethod } from '../../core/mcp/tasks.ts';
import { Refusal } from '../../core/stage.ts';
import { argumentDepth } from './depths.ts';
import { promiseOf, scanDocument } from './document.ts';
import { block, UNKNOWN_PROFILE } from './judgement.ts';
import type { RedactionSettings } from './settings.ts';
import { type Noted, profileOf, type Treatments } from './treatments.ts';

const NOTHING_FOUND: Slots['findings'] = { list: [] };

/** What a call brings for its server: arguments, answers to questions, what the client added to `_meta`. */
export class RequestCheck {
  readonly #settings: RedactionSettings;
  readonly #treatments: Treatments;

  constructor(settings: RedactionSettings, treatments: Treatments) {
    this.#settings = settings;
    this.#treatments = treatments;
  }

  call(call: CallWith<'target' | 'arguments' | 'decision'>): Slots['findings'] | Refusal {
    const profile = profileOf(call.decision.obligations.redaction, this.#settings);
    if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
    if (profile === 'none') return NOTHING_FOUND;
    const bytes = call.arguments.bytes();
    const promise = promiseOf(bytes);
    const answers = call.round?.answers ?? null;
    const meta = travellingMeta(call);
    // Most calls end here: nothing is made for what has nothing to find.
    if (promise === 0 && answers === null && meta === null) return NOTHING_FOUND;
    const noted: Noted = { blocked: false };
    const treatment = this.#treatments.incoming(call.target, noted);
    const ofTask = isTaskMethod(call.message?.method ?? '');
    const { findings, blocked } = scanDocument(
      bytes,
      ofTask ? { ...treatment, depth: argumentDepth } : treatment,
      promise,
    );
    if (blocked !== null) return block(blocked);
    for (const given of answers?.given.values() ?? []) {
      const refused = this.#answer(call.target, given.bytes, noted);
      if (refused !== null) return refused;
    }
    const beside =
      meta === null ? null : scanDocument(meta, this.#treatments.undeclared(call.target, noted, metaDepth));
    if (beside !== null && beside.blocked !== null) return block(besideArguments(beside.blocked));
    const list = beside === null ? findings : [...findings, ...beside.findings.map(besideArguments)];
    if (noted.blocked) return { list, wouldRefuse: 'redaction.blocked' };
    return list.length === 0 ? NOTHING_FOUND : { list };
  }

  /** What a client answered to a question in the middle of a call. Null: it may go. */
  answer({ target, decision }: Pick<CallWith<'target' | 'decision'>, 'target' | 'decision'>, bytes: Uint8Array) {
    const profile = profileOf(decision.obligations.redaction, this.#settings);
    if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
    return profile === 'none' ? null : this.#answer(target, bytes, { blocked: false });
  }

  #answer(target: Target, bytes: Uint8Array, noted: Noted): Refusal | null {
    const { blocked } = scanDocument(
      bytes,
      this.#treatments.undeclared(target, noted, () => 'whole'),
    );
    return blocked === null ? null : block({ ...blocked, path: `/inputResponses${blocked.path}` });
  }
}

/** `_meta` as sent, when it holds more than the protocol's own members: what a client adds there reaches the tool as well. */
function travellingMeta({ message }: Call): Uint8Array | null {
  const span = message?.spans.meta;
  if (!message || !span) return null;
  for (const name of message.spans.metaMembers.keys())
    if (!isOurMeta(name)) return message.bytes.subarray(span.start, span.end);
  return null;
}

function metaDepth([name]: readonly (string | number)[]) {
  return isOurMeta(String(name)) ? null : 'whole';
}

/** Read and replaced on the way (upstream/outgoing.ts): the client's own value goes no further. */
function isOurMeta(name: string): boolean {
  return name === 'progressToken' || name.startsWith('io.modelcontextprotocol/');
}

function besideArguments(finding: Finding): Finding {
  return { ...finding, path: `/_meta${finding.path}` };
}
