import type { Call, CallWith, Finding, Now, Principal } from '../../../core/call.ts';
import { sha256Base64Url } from '../../../core/crypto/digest.ts';
import { REFUSALS } from '../../../core/mcp/refusals.ts';
import type { Answers } from '../../../core/questions.ts';
import type { Payload } from './payload.ts';

/**
 * What the sealed `meta` part says of a call: JSON whose members stand in the order of RFC 8785, written as literals in
 * that order (a test compares with the canonicaliser). A member that is undefined is left out. No value of the call but
 * names: arguments and replies are digests here.
 */
const TEXT_CHARS = 1_024;

export interface MetaContext {
  /** `row/kid` of the subject key the payload is sealed under. */
  readonly subjectKey: string;
  /** Relaxed controls, in words. */
  readonly weak: readonly string[];
}

type CalledNeeds = 'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval';

export function intentMeta(call: CallWith<CalledNeeds>, context: MetaContext): string {
  const { principal, message, target, decision, approval } = call;
  return JSON.stringify({
    actors: actorsOf(principal),
    approval: approval.id ?? undefined,
    approval_use: approval.use,
    approvers: approval.approvers.length > 0 ? approval.approvers : undefined,
    arguments: call.arguments.digest,
    call: call.id,
    client: principal.client,
    effect: target.effect,
    findings: typesOf(call.findings.list),
    issuer: principal.issuer,
    manifest: target.manifest,
    method: message.method,
    policy: decision.policy,
    proof: principal.proof,
    revision: message.revision,
    rules: decision.rules,
    subject: principal.subject,
    subject_key: context.subjectKey,
    target: target.key,
    target_digest: target.digest,
    tenant: principal.tenant,
    way: call.way,
    weak: context.weak.length > 0 ? context.weak : undefined,
    would_refuse: wouldRefuse(call),
  });
}

/**
 * The arguments that run: those that were approved, where an approval is used. With them what the client answers to
 * questions of the round before; the answers to a task's questions are its arguments already.
 */
export function intentPayload(call: CallWith<CalledNeeds>): Payload {
  const args = ['arguments', call.approval.approved ?? call.arguments.bytes()] as const;
  const given = call.round?.answers?.given;
  if (!given || given.size === 0 || call.message.method === 'tasks/update') return [args];
  return [args, ['answers', answersText(given)]];
}

/** `inputResponses` as it came, blanks between the members aside. */
function answersText(given: Answers['given']): Uint8Array {
  const parts = [...given].flatMap(([key, { bytes }], i) => [
    Buffer.from(`${i === 0 ? '{' : ','}${JSON.stringify(key)}:`),
    bytes,
  ]);
  return Buffer.concat([...parts, Buffer.from('}')]);
}

/** The end of a call with a principal. What the intent has said already is not said again. */
export function outcomeMeta(call: Call, principal: Principal, now: Now, context: MetaContext): string {
  const { reply, refusal, intent } = call;
  const first = intent === undefined;
  const found = reply?.findings ?? [];
  return JSON.stringify({
    actors: first ? actorsOf(principal) : undefined,
    approval: call.approval?.id ?? refusal?.facts.approval?.id,
    arguments: first ? call.arguments?.digest : undefined,
    call: call.id,
    client: first ? principal.client : undefined,
    code: refusal?.code,
    diagnostics: diagnosticsOf(call) ? true : undefined,
    duration_ms: Math.max(0, Math.round(now.mono - call.arrived.mono)),
    effect: first ? call.target?.effect : undefined,
    evidence: textOf(refusal?.facts.evidence),
    findings: typesOf(found),
    intent: intent?.id,
    issuer: first ? principal.issuer : undefined,
    manifest: first ? call.target?.manifest : undefined,
    method: first ? textOf(call.message?.method) : undefined,
    name: first && !call.target ? textOf(call.message?.name) : undefined,
    policy: first ? call.decision?.policy : undefined,
    proof: first ? principal.proof : undefined,
    reply: reply ? sha256Base64Url(reply.bytes) : undefined,
    reply_kind: reply?.kind,
    reply_len: reply?.bytes.length,
    rules: first ? call.decision?.rules : undefined,
    status: refusal ? REFUSALS[refusal.code].status : reply?.status,
    subject: principal.subject,
    subject_key: context.subjectKey,
    target: call.target?.key,
    target_digest: first ? call.target?.digest : undefined,
    tenant: principal.tenant,
    way: first ? call.way : undefined,
    weak: first && context.weak.length > 0 ? context.weak : undefined,
    would_refuse: first ? wouldRefuse(call) : undefined,
  });
}

/** What controls in observe mode would have refused, in the order of their stages. */
function wouldRefuse({ arguments: args, decision, findings }: Call): string | undefined {
  if (!args?.wouldRefuse && !decision?.wouldRefuse && !findings?.wouldRefuse) return undefined;
  const codes = [args?.wouldRefuse, decision?.wouldRefuse, findings?.wouldRefuse].filter((code) => code != null);
  return codes.join(' ');
}

/** What a server says of a failure may be as large as any answer, begins with why, and has to fit into a record. */
const MOST_DIAGNOSTICS_BYTES = 8 * 1024 * 1024;

export function outcomePayload(call: Call, replyBytes: number): Payload {
  const items: [Payload[number][0], Uint8Array][] = [];
  if (call.reply && call.reply.bytes.length <= replyBytes) items.push(['reply', call.reply.bytes]);
  const diagnostics = diagnosticsOf(call);
  if (diagnostics) items.push(['diagnostics', diagnostics.subarray(0, MOST_DIAGNOSTICS_BYTES)]);
  return items;
}

/** A refusal before anybody was authenticated. Everything but the code is attacker-controlled. */
export function strangerMeta(call: Call, now: Now): string {
  return JSON.stringify({
    address: call.head.address,
    call: call.id,
    code: call.refusal?.code,
    duration_ms: Math.max(0, Math.round(now.mono - call.arrived.mono)),
    evidence: textOf(call.refusal?.facts.evidence),
    http: textOf(call.head.method),
    path: textOf(call.head.path),
    way: call.way,
  });
}

function diagnosticsOf(call: Call): Uint8Array | null {
  return call.reply?.diagnostics ?? call.scrubbed?.diagnostics ?? null;
}

function typesOf(findings: readonly Finding[]): string[] | undefined {
  if (findings.length === 0) return undefined;
  return [...new Set(findings.map((finding) => `${finding.type}:${finding.action}`))].sort();
}

function actorsOf(principal: Principal): { issuer: string; subject: string }[] | undefined {
  if (principal.actors.length === 0) return undefined;
  return principal.actors.map(({ issuer, subject }) => ({ issuer, subject }));
}

function textOf(text: string | undefined): string | undefined {
  return text === undefined || text.length <= TEXT_CHARS ? text : text.slice(0, TEXT_CHARS);
}
