import type { Call, CallWith, Finding, Reply, Result, Target } from '../../core/call.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { isTaskMethod } from '../../core/mcp/tasks.ts';
import { treeOf } from '../../core/mcp/tree.ts';
import { Refusal, type Stage, type Verdict } from '../../core/stage.ts';
import { declaresSecret } from './declared.ts';
import { type Depth, detect, featuresOf, isSecret, type Rules } from './detect.ts';
import { promiseOf, type Scanned, scanDocument, survivingSecret } from './document.ts';
import { replaceIn } from './replace.ts';
import { PROFILES, type Profile, type RedactionSettings } from './settings.ts';
import { openTokeniser } from './token.ts';
import type { Treatment } from './treatment.ts';
import { type Found, NO_PLACE } from './types.ts';

/** Asked after a structured result was changed: does it still match what the tool promised? */
export interface OutputSchema {
  /** @returns null when it holds, else the path of the first fault; never a value */
  check(target: Target, view: unknown): string | null;
}

export interface RedactionOptions {
  readonly settings: RedactionSettings;
  /** Class `redaction-token`; the first makes tokens. */
  readonly keys: KeyPairOf<SymmetricKey>;
  readonly outputSchema: OutputSchema;
}

export interface EventContext {
  readonly tenant: string;
  /** Profile forced by policy, or null. */
  readonly profile: string | null;
  /** It tells the state of a task, by the id that we gave it. */
  readonly task?: boolean;
}

export interface Redaction {
  readonly stages: {
    readonly request: Stage<'target' | 'arguments' | 'decision', 'findings'>;
    readonly reply: Stage<'principal' | 'scrubbed', 'reply'>;
  };
  /** One JSON-RPC notification on its way to a client. Never throws: what cannot be checked is dropped. */
  event(bytes: Uint8Array, context: EventContext): Verdict;
  /**
   * What a client answered to a question in the middle of a call goes to the server as its arguments do: a secret in it
   * refuses the call. Null: it may go. Never throws.
   */
  answer(call: Pick<CallWith<'target' | 'decision'>, 'target' | 'decision'>, bytes: Uint8Array): Refusal | null;
  /** A line for logs and errors with everything replaced. Never throws. */
  text(value: string, tenant: string): string;
}

/** Redaction for one gateway. All of it is synchronous: nothing is asked outside the process. */
export function openRedaction({ settings, keys, outputSchema }: RedactionOptions): Redaction {
  const tokeniser = openTokeniser(keys);
  const rules: Rules = {
    phoneRegions: settings.phoneRegions,
    keepPrivateAddresses: settings.privateAddresses === 'report',
    cutAllHiddenText: settings.hiddenText === 'remove',
  };
  const observe = settings.mode === 'observe';

  /** In observe mode what would have been blocked is reported, and remembered for the record. */
  const blockedOr = (noted: Noted): Finding['action'] => {
    noted.blocked = true;
    return observe ? 'reported' : 'blocked';
  };

  const outgoing = (tenant: string, depth: Treatment['depth']): Treatment => ({
    rules,
    depth,
    replacement: (found) => tokeniser.replacement(found, tenant),
    action: (found) => (observe ? 'reported' : ACTIONS[settings.types[found.type] ?? 'replace']),
  });

  const incoming = (target: Target, noted: Noted): Treatment => ({
    rules,
    depth: () => 'whole',
    replacement: (found) => tokeniser.replacement(found, target.tenant),
    action: (found, segments) => {
      if (!isSecret(found) || settings.requestSecrets === 'report') return 'reported';
      if (declaresSecret(target, segments, settings.secretFields[target.key] ?? [])) return 'reported';
      return blockedOr(noted);
    },
  });

  /** `_meta` has no schema, so nothing in it is declared. */
  const incomingMeta = (target: Target, noted: Noted): Treatment => ({
    ...incoming(target, noted),
    depth: ([name]) => (isOurMeta(String(name)) ? null : 'whole'),
    action: (found) => (!isSecret(found) || settings.requestSecrets === 'report' ? 'reported' : blockedOr(noted)),
  });

  /** No schema of ours says what an answer is, so nothing in it is declared. */
  const checkAnswer = (
    { target }: { readonly target: Target },
    bytes: Uint8Array,
    noted: Noted = { blocked: false },
  ): Refusal | null => {
    const { blocked } = scanDocument(bytes, { ...incomingMeta(target, noted), depth: () => 'whole' });
    return blocked === null ? null : block({ ...blocked, path: `/inputResponses${blocked.path}` });
  };

  const checkArguments = (call: CallWith<'target' | 'arguments' | 'decision'>) => {
    const profile = profileOf(call.decision.obligations.redaction, settings);
    if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
    if (profile === 'none') return NOTHING_FOUND;
    const bytes = call.arguments.bytes();
    const promise = promiseOf(bytes);
    const answers = call.round?.answers ?? null;
    const meta = travellingMeta(call);
    // Most calls end here: nothing is made for what has nothing to find.
    if (promise === 0 && answers === null && meta === null) return NOTHING_FOUND;
    const noted: Noted = { blocked: false };
    const treatment = incoming(call.target, noted);
    const ofTask = isTaskMethod(call.message?.method ?? '');
    const { findings, blocked } = scanDocument(
      bytes,
      ofTask ? { ...treatment, depth: argumentDepth } : treatment,
      promise,
    );
    if (blocked !== null) return block(blocked);
    if (answers !== null) {
      for (const { bytes } of answers.given.values()) {
        const refused = checkAnswer(call, bytes, noted);
        if (refused !== null) return refused;
      }
    }
    const beside = meta === null ? null : scanDocument(meta, incomingMeta(call.target, noted));
    if (beside !== null && beside.blocked !== null) return block(besideArguments(beside.blocked));
    const list = beside === null ? findings : [...findings, ...beside.findings.map(besideArguments)];
    if (noted.blocked) return { list, wouldRefuse: 'redaction.blocked' };
    return list.length === 0 ? NOTHING_FOUND : { list };
  };

  const checkReply = (call: CallWith<'principal' | 'scrubbed'>): Reply | Refusal => {
    const { bytes } = call.scrubbed;
    const profile = profileOf(call.decision?.obligations.redaction ?? null, settings);
    if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
    if (profile === 'none') return unchanged(call.scrubbed);
    // No target: a list from pins. An operator reviewed and signed those words, and the registry has scanned them; changing
    // an example or a pattern in a schema would only make clients call wrongly.
    if (call.target === undefined && call.message !== undefined) return unchanged(call.scrubbed);
    const promise = promiseOf(bytes);
    if (promise === 0) return unchanged(call.scrubbed);
    const treatment = outgoing(call.principal.tenant, call.scrubbed.task ? taskDepth : resultDepth);
    const scanned = scanDocument(bytes, treatment, promise);
    const refused = judge(scanned, bytes, treatment) ?? brokenSchema(call, scanned, bytes);
    return refused ?? replyOf(call.scrubbed, scanned.bytes, scanned.findings);
  };

  const brokenSchema = (call: Call, scanned: Scanned, before: Uint8Array): Refusal | null => {
    const target = call.target;
    if (scanned.bytes === before || target?.definition['outputSchema'] === undefined) return null;
    if (!scanned.changed.has('structuredContent')) return null;
    const result = treeOf(Buffer.from(scanned.bytes).toString('utf8')) as {
      structuredContent?: unknown;
      isError?: unknown;
    };
    if (result.isError === true) return null;
    const path = outputSchema.check(target, result.structuredContent);
    if (path === null) return null;
    return new Refusal('redaction.blocked', {
      path,
      text: 'A value that may not leave stands where the output schema wants another type.',
    });
  };

  return {
    stages: {
      request: { name: 'redaction.request', leaves: 'findings', run: (call) => guarded(checkArguments, call) },
      reply: { name: 'redaction.reply', leaves: 'reply', run: (call) => guarded(checkReply, call) },
    },
    event(bytes, { tenant, profile: forced, task }) {
      const verdict = guarded(() => {
        const profile = profileOf(forced, settings);
        if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
        if (profile === 'none') return bytes;
        const treatment = outgoing(tenant, task ? taskMessageDepth : messageDepth);
        const scanned = scanDocument(bytes, treatment);
        return judge(scanned, bytes, treatment) ?? scanned.bytes;
      }, undefined);
      return verdict instanceof Refusal ? { drop: verdict.code } : { pass: verdict };
    },
    answer(call, bytes) {
      const checked = guarded(() => {
        const profile = profileOf(call.decision.obligations.redaction, settings);
        if (profile === null) return new Refusal('redaction.unavailable', { evidence: UNKNOWN_PROFILE });
        return (profile === 'none' ? null : checkAnswer(call, bytes)) ?? PASSES;
      }, undefined);
      return checked instanceof Refusal ? checked : null;
    },
    text(value, tenant) {
      try {
        const flags = featuresOf(value);
        if (flags === 0) return value;
        const found = detect(value, flags, NO_PLACE, rules, 'whole');
        // Logs follow no profile and no mode: a value in clear has no business there.
        const treatment = { replacement: (one: Found) => tokeniser.replacement(one, tenant) };
        return replaceIn(value, found, treatment, (one) => (one.quiet === true ? 'reported' : 'replaced')) ?? value;
      } catch {
        return '[withheld]';
      }
    },
  };
}

/** `_meta` as sent, when it holds more than the protocol's own members: what a client adds there reaches the tool as well. */
function travellingMeta({ message }: Call): Uint8Array | null {
  const span = message?.spans.meta;
  if (!message || !span) return null;
  for (const name of message.spans.metaMembers.keys())
    if (!isOurMeta(name)) return message.bytes.subarray(span.start, span.end);
  return null;
}

/** Read and replaced on the way (upstream/outgoing.ts): the client's own value goes no further. */
function isOurMeta(name: string): boolean {
  return name === 'progressToken' || name.startsWith('io.modelcontextprotocol/');
}

function besideArguments(finding: Finding): Finding {
  return { ...finding, path: `/_meta${finding.path}` };
}

const ACTIONS = { replace: 'replaced', report: 'reported', block: 'blocked' } as const satisfies Record<
  string,
  Finding['action']
>;
const PASSES = Symbol('may go');
/** Whether something was, or in observe mode would have been, blocked. */
interface Noted {
  blocked: boolean;
}

const NO_FINDINGS: readonly Finding[] = [];
const NOTHING_FOUND = { list: NO_FINDINGS };
const UNKNOWN_PROFILE = 'policy names a redaction profile that does not exist';

function unchanged(scrubbed: Result): Reply {
  return replyOf(scrubbed, scrubbed.bytes, NO_FINDINGS);
}

function replyOf({ kind, diagnostics }: Result, bytes: Uint8Array, findings: readonly Finding[]): Reply {
  return { kind, bytes, findings, diagnostics, status: 200 };
}

/** A blocked finding, or a secret that survived: then nothing leaves. */
function judge(scanned: Scanned, before: Uint8Array, treatment: Treatment): Refusal | null {
  if (scanned.blocked !== null) return block(scanned.blocked);
  if (scanned.bytes === before) return null;
  const survivor = survivingSecret(scanned, treatment);
  return survivor === null ? null : block(survivor);
}

function block(finding: Finding): Refusal {
  return new Refusal('redaction.blocked', { path: finding.path, evidence: `${finding.type} by ${finding.rule}` });
}

/** Policy may force a profile by name; one we do not know is not guessed at. */
function profileOf(forced: string | null, settings: RedactionSettings): Profile | null {
  if (forced === null) return settings.profile;
  return PROFILES.find((profile) => profile === forced) ?? null;
}

/** Whatever goes wrong while reading, nothing unread leaves. */
function guarded<T, Of>(check: (of: Of) => T | Refusal, of: Of): T | Refusal {
  try {
    return check(of);
  } catch (cause) {
    return new Refusal('redaction.unavailable', { cause });
  }
}

/** Handles the client must send back byte for byte, at the top of a result. */
const HANDLES = new Set<string | number>(['nextCursor', 'requestState', 'elicitationId']);

/** The id of a task is sealed by us: what looks like something in it is chance, and changed it would name nothing. */
function isTaskId(segments: readonly (string | number)[]): boolean {
  return segments.length === 1 && segments[0] === 'taskId';
}

function argumentDepth(segments: readonly (string | number)[]): Depth | null {
  return isTaskId(segments) ? null : 'whole';
}

function taskDepth(segments: readonly (string | number)[]): Depth | null {
  return isTaskId(segments) ? null : resultDepth(segments);
}

function taskMessageDepth(segments: readonly (string | number)[]): Depth | null {
  return segments[0] === 'params' && isTaskId(segments.slice(1)) ? null : messageDepth(segments);
}

function resultDepth(segments: readonly (string | number)[]): Depth {
  const [first, second] = segments;
  if (segments.length === 1 && HANDLES.has(first!)) return 'opaque';
  return first === '_meta' && String(second).startsWith('io.modelcontextprotocol/') ? 'opaque' : 'whole';
}

const ENVELOPE = new Set<string | number>(['jsonrpc', 'id', 'method']);
const CORRELATION = new Set<string | number>(['progressToken', 'requestId']);

function messageDepth(segments: readonly (string | number)[]): Depth | null {
  const [first, second] = segments;
  if (segments.length === 1 && ENVELOPE.has(first!)) return null;
  if (segments.length === 2 && first === 'params' && CORRELATION.has(second!)) return null;
  return resultDepth(segments.slice(1));
}
