import type { Call, CallWith, Decision, Now, Principal, Reply, Target } from '../../../core/call.ts';
import { sha256Base64Url } from '../../../core/crypto/digest.ts';
import type { SubjectKey } from '../keys/keyring.ts';
import { intentMeta, outcomeMeta } from './meta.ts';
import { PlainText, type Plaintext } from './plaintext.ts';

/** Forgetting costs no more than making a form again. */
const FORMS = 1_024;
const ARGUMENTS = '"arguments":"';
const CALL = '","call":"';
/** Values that stand in JSON as they are, in a place of fixed length. */
const UUID = /^[0-9a-f-]{36}$/;
const DIGEST = /^[A-Za-z0-9_-]{43}$/;

/** What the meta parts of calls have in common, and everything that it follows from. */
interface Form {
  readonly principal: Principal;
  readonly target: Target;
  readonly decision: Decision;
  readonly method: string;
  readonly revision: string;
  readonly way: string;
  readonly weak: readonly string[];
  readonly key: SubjectKey;
  /** An intent's text, with some call's values in the two places that change. */
  readonly intent: Buffer;
  readonly argumentsAt: number;
  readonly callAt: number;
  /** The end of an outcome's text, from the comma behind its status. */
  readonly ending: Buffer;
}

type CalledNeeds = 'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval';

/**
 * The texts of `meta.ts` without building each anew: most calls of a caller to a tool differ in the call's id, digests and
 * numbers alone. Whatever is out of the ordinary (findings, an approval, a refusal) takes the long way. A test compares.
 */
export class MetaForms {
  readonly #forms = new Map<Decision, Form>();

  intent(call: CallWith<CalledNeeds>, key: SubjectKey, weak: readonly string[]): Plaintext {
    const { approval, findings, arguments: args } = call;
    const ordinary = findings.list.length === 0 && approval.use === 'none' && approval.id === null;
    if (!ordinary || approval.approvers.length > 0 || !UUID.test(call.id) || !DIGEST.test(args.digest))
      return new PlainText(intentMeta(call, { subjectKey: key.name, weak }));
    return new IntentText(this.#formOf(call, key, weak), call.id, args.digest);
  }

  outcome(call: Call, now: Now, key: SubjectKey, weak: readonly string[]): Plaintext {
    const { intent, reply, decision } = call;
    const form = intent && decision ? this.#forms.get(decision) : undefined;
    const ordinary = form && reply && isOrdinary(call, reply) && form.principal === call.principal && form.key === key;
    if (!ordinary || form.target !== call.target || !UUID.test(call.id) || !UUID.test(intent!.id))
      return new PlainText(outcomeMeta(call, call.principal!, now, { subjectKey: key.name, weak }));
    return new OutcomeText(form, call.id, intent!.id, reply, Math.max(0, Math.round(now.mono - call.arrived.mono)));
  }

  #formOf(call: CallWith<CalledNeeds>, key: SubjectKey, weak: readonly string[]): Form {
    const { principal, target, decision, message, way } = call;
    const known = this.#forms.get(decision);
    if (
      known &&
      known.principal === principal &&
      known.target === target &&
      known.key === key &&
      known.weak === weak &&
      known.method === message.method &&
      known.revision === message.revision &&
      known.way === way
    )
      return known;
    const { method, revision } = message;
    const intent = Buffer.from(intentMeta(call, { subjectKey: key.name, weak }));
    // Quotation marks inside a value are escaped, so the first that is not is the member itself.
    const argumentsAt = intent.indexOf(ARGUMENTS) + ARGUMENTS.length;
    const callAt = argumentsAt + call.arguments.digest.length + CALL.length;
    const { subject, tenant } = principal;
    const last = JSON.stringify({ subject, subject_key: key.name, target: target.key, tenant });
    const ending = Buffer.from(`,${last.slice(1)}`);
    const form = { principal, target, decision, method, revision, way, weak, key, intent, argumentsAt, callAt, ending };
    if (this.#forms.size >= FORMS) this.#forms.clear();
    this.#forms.set(decision, form);
    return form;
  }
}

function isOrdinary(call: Call, reply: Reply): boolean {
  return (
    !call.refusal &&
    reply.findings.length === 0 &&
    !reply.diagnostics &&
    !call.scrubbed?.diagnostics &&
    !call.approval?.id
  );
}

class IntentText implements Plaintext {
  readonly length: number;
  readonly #form: Form;
  readonly #call: string;
  readonly #arguments: string;

  constructor(form: Form, call: string, digest: string) {
    this.length = form.intent.length;
    this.#form = form;
    this.#call = call;
    this.#arguments = digest;
  }

  writeInto(into: Buffer, at: number): number {
    const { intent, argumentsAt, callAt } = this.#form;
    into.set(intent, at);
    into.write(this.#arguments, at + argumentsAt, 'latin1');
    into.write(this.#call, at + callAt, 'latin1');
    return at + this.length;
  }
}

const DURATION = '","duration_ms":';
const INTENT = ',"intent":"';
const REPLY = '","reply":"';
const KIND = '","reply_kind":"';
const LENGTH = '","reply_len":';
const STATUS = ',"status":';

/** All ASCII up to the ending. The reply's digest is made when it is written, with the other digests of the record. */
class OutcomeText implements Plaintext {
  readonly length: number;
  readonly #form: Form;
  readonly #reply: Reply;
  readonly #before: string;
  readonly #after: string;

  constructor(form: Form, call: string, intent: string, reply: Reply, duration: number) {
    this.#form = form;
    this.#reply = reply;
    this.#before = `{"call":"${call}${DURATION}${duration}${INTENT}${intent}${REPLY}`;
    this.#after = `${KIND}${reply.kind}${LENGTH}${reply.bytes.length}${STATUS}${reply.status}`;
    this.length = this.#before.length + 43 + this.#after.length + form.ending.length;
  }

  writeInto(into: Buffer, at: number): number {
    let place = at + into.write(this.#before, at, 'latin1');
    place += into.write(sha256Base64Url(this.#reply.bytes), place, 'latin1');
    place += into.write(this.#after, place, 'latin1');
    into.set(this.#form.ending, place);
    return place + this.#form.ending.length;
  }
}
