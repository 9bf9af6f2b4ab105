import type { CallWith, Now, Round } from '../../core/call.ts';
import { MODERN_REVISION } from '../../core/call.ts';
import { deriveKey, type SealKey, seal, sealKey, unseal } from '../../core/crypto/envelope.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { handle } from '../../core/ids.ts';
import { isObjectAt, type ScanLimits, scanDocument } from '../../core/mcp/scanner.ts';
import type { Answers, QuestionAnswer } from '../../core/questions.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import type { Ephemeral, OnceAnswer } from '../../core/store/ephemeral.ts';

type Needs = 'endpoint' | 'principal' | 'message' | 'client' | 'target' | 'arguments';

/** What has been left on a call that may stand in a chain of rounds. */
export type RoundCall = CallWith<Needs>;

export interface Rounds {
  readonly stage: Stage<Needs, 'round'>;
  /**
   * The state a modern client has to bring back: sealed, for this principal, this target and these arguments, once,
   * within ten minutes. A refusal when what the upstream gave is larger than MAX_STATE_BYTES: the call cannot go on.
   * @param state what the upstream gave
   * @param grant approval that was used up in this chain
   */
  seal(call: RoundCall, state: string | null, grant: string | null, now: Now): string | Refusal;
}

export interface RoundsOptions {
  readonly keys: KeyPairOf<SymmetricKey>;
  /** Remembers which states were used. */
  readonly ephemeral: Pick<Ephemeral, 'once'>;
  /** ms UTC: `ephemeral` knows every state used since then. What was sealed before is refused: it may have been used. */
  readonly since: number;
  /** Bounds of a message, as it was scanned. */
  readonly limits: ScanLimits;
}

const LIFE_MS = 600_000;
/** UTF-8 bytes of the state of an upstream. */
export const MAX_STATE_BYTES = 8_192;
/** Characters of a sealed state: what is in it, escaped as JSON at worst, in base64url. */
const MAX_SEALED = 24_576;
const MAX_ANSWERS = 64;
const TABLE = 'validation.round';
/** The methods that may answer with a question (protocol.md 1.8). Elsewhere the members mean nothing. */
const ROUND_METHODS: readonly string[] = ['tools/call', 'prompts/get', 'resources/read'];

/** What is sealed. */
interface Payload {
  readonly u: string | null;
  readonly g: string | null;
  /** Names this state among those that were used. */
  readonly n: string;
  /** Sealed at, ms UTC. */
  readonly i: number;
}

/** Answers to the questions of a task. */
const UPDATE = 'tasks/update';

const FIRST: Round = Object.freeze({ answers: null, grant: null });

export function openRounds(options: RoundsOptions): Rounds {
  const keys = options.keys.flatMap((key) => (key ? [sealKey(deriveKey(key.secret, 'request state 1'))] : []));
  return {
    stage: {
      name: 'validation.round',
      leaves: 'round',
      run(call, now) {
        const { params } = call.message;
        const state = params['requestState'];
        if (state === undefined && params['inputResponses'] === undefined) return FIRST;
        if (call.message.method === UPDATE) {
          const given = givenAnswers(call, options.limits);
          // The task itself is what these belong to: its id is sealed, and there is no state besides.
          return typeof given === 'string' ? new Refusal('validation.params', { text: given }) : answering(given);
        }
        if (call.client.revision !== MODERN_REVISION || !ROUND_METHODS.includes(call.message.method)) return FIRST;
        const given = givenAnswers(call, options.limits);
        if (typeof given === 'string') return refuse(given);
        if (state === undefined) return answering(given);
        const opened = open(keys, String(state), call);
        if (opened === null) return refuse('state: not ours, or not for this caller and call');
        if (opened.i < options.since) return refuse('state: sealed before this process began to remember');
        // A clock that was set back makes nothing young again.
        if (Math.abs(now.utc - opened.i) > LIFE_MS) return refuse('state: expired');
        const round = { answers: { given, state: opened.u }, grant: opened.g };
        const once = options.ephemeral.once(TABLE, opened.n, LIFE_MS * 2, now.mono);
        return once instanceof Promise ? once.then((answer) => used(answer, round)) : used(once, round);
      },
    },
    seal(call, state, grant, now) {
      if (state !== null && Buffer.byteLength(state) > MAX_STATE_BYTES) return tooLarge(state);
      const payload: Payload = { u: state, g: grant, n: handle(), i: now.utc };
      const sealed = seal(keys[0]!, Buffer.from(JSON.stringify(payload)), placeOf(call)).toString('base64url');
      // Control characters grow sixfold on the way: a state that could not come back must not go out.
      return sealed.length > MAX_SEALED ? tooLarge(state ?? '') : sealed;
    },
  };
}

function answering(given: Answers['given']): Round {
  return { answers: { given, state: null }, grant: null };
}

/** What cannot be remembered could come twice: refused. */
function used(once: OnceAnswer, round: Round): Round | Refusal {
  if (once === 'stored') return round;
  return refuse(once === 'exists' ? 'state: used before' : 'state: no more used states can be remembered');
}

function refuse(evidence: string): Refusal {
  return new Refusal('validation.round', { evidence });
}

function tooLarge(state: string): Refusal {
  return new Refusal('upstream.too_large', {
    text: `The state the tool server wants back with the next request is larger than ${MAX_STATE_BYTES} bytes; the call was not completed.`,
    evidence: `requestState of ${Buffer.byteLength(state)} bytes`,
  });
}

function open(keys: readonly SealKey[], state: string, call: RoundCall): Payload | null {
  if (state.length > MAX_SEALED) return null;
  const sealed = Buffer.from(state, 'base64url');
  // One state has one spelling, or it could be used once in each.
  if (sealed.toString('base64url') !== state) return null;
  const place = placeOf(call);
  for (const key of keys) {
    const plain = unseal(key, sealed, place);
    if (plain) return JSON.parse(plain.toString()) as Payload;
  }
  return null;
}

/** Where a state is good: this caller, this endpoint, this very call. Anything else does not open it at all. */
function placeOf(call: RoundCall): string {
  const { principal, endpoint, message, target } = call;
  return `request state ${JSON.stringify([1, principal.key, endpoint.resource, message.method, target.key, target.digest, call.arguments.digest])}`;
}

/**
 * What the client said to each question, cut from its bytes. Which keys were asked for only the upstream knows; it has
 * to ignore the others (protocol.md 1.8).
 */
function givenAnswers({ message }: RoundCall, limits: ScanLimits): Answers['given'] | string {
  const given = new Map<string, QuestionAnswer>();
  const { params } = message.spans;
  const responses = params && memberOf(message.bytes.subarray(params.start, params.end), 'inputResponses', limits);
  if (!responses) return given;
  const document = scanDocument(responses, limits);
  if (typeof document === 'string' || !document.members) return 'inputResponses: no object';
  if (document.members.size > MAX_ANSWERS) return `inputResponses: more than ${MAX_ANSWERS}`;
  for (const [key, span] of document.members) {
    if (!isObjectAt(responses, span)) return 'inputResponses: a member is no object';
    given.set(key, { kind: 'result', bytes: responses.subarray(span.start, span.end) });
  }
  return given;
}

function memberOf(object: Uint8Array, name: string, limits: ScanLimits): Uint8Array | null {
  const document = scanDocument(object, limits);
  const span = typeof document === 'string' ? undefined : document.members?.get(name);
  return span ? object.subarray(span.start, span.end) : null;
}
