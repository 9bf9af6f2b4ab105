import type { CallWith } from '../../core/call.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { Refusal, type Stage, type Verdict } from '../../core/stage.ts';
import { type EventContext, type OutputSchema, ReplyCheck } from './reply.ts';
import { RequestCheck } from './request.ts';
import type { RedactionSettings } from './settings.ts';
import { openTokeniser } from './token.ts';
import { treatmentsOf } from './treatments.ts';

export interface RedactionOptions {
  readonly settings: RedactionSettings;
  /** Class `redaction-token`; the first makes tokens. */
  readonly keys: KeyPairOf<SymmetricKey>;
  readonly outputSchema: OutputSchema;
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
}

/** Redaction for one gateway. All of it is synchronous: nothing is asked outside the process. */
export function openRedaction({ settings, keys, outputSchema }: RedactionOptions): Redaction {
  const treatments = treatmentsOf(settings, openTokeniser(keys));
  const request = new RequestCheck(settings, treatments);
  const reply = new ReplyCheck(settings, treatments, outputSchema);
  const ofRequest = request.call.bind(request);
  const ofReply = reply.call.bind(reply);
  return {
    stages: {
      request: { name: 'redaction.request', leaves: 'findings', run: (call) => guarded(ofRequest, call) },
      reply: { name: 'redaction.reply', leaves: 'reply', run: (call) => guarded(ofReply, call) },
    },
    event(bytes, context) {
      const verdict = guarded((context) => reply.event(bytes, context), context);
      return verdict instanceof Refusal ? { drop: verdict.code } : { pass: verdict };
    },
    answer: (call, bytes) => guarded((call) => request.answer(call, bytes), call),
  };
}

/** Whatever goes wrong while reading, nothing unread leaves. */
function guarded<T, Of>(check: (of: Of) => T, of: Of): T | Refusal {
  try {
    return check(of);
  } catch (cause) {
    return new Refusal('redaction.unavailable', { cause });
  }
}
