/**
 * Questions an upstream asks in the middle of a call (protocol.md 1.8), in one form for both eras: a modern upstream
 * answers `input_required`, a legacy one sends requests on the call's stream; a modern client repeats the call with
 * answers, a legacy one is sent requests and posts its responses. Everything in here is attacker-controlled.
 */

/** What a client can be asked. Any other request of an upstream is answered "not supported" to it. */
export const QUESTION_METHODS = ['elicitation/create', 'sampling/createMessage', 'roots/list'] as const;
export type QuestionMethod = (typeof QUESTION_METHODS)[number];

export interface Question {
  readonly method: QuestionMethod;
  /** One JSON object, `{}` when there are none. */
  readonly params: Uint8Array;
}

/** The upstream does not go on before these are answered. */
export class InputRequired {
  /** By the upstream's own keys; may be empty when only `state` has to come back. */
  readonly questions: ReadonlyMap<string, Question>;
  /** What has to come back unchanged: the upstream's `requestState`, or the name of a parked call; null for none. */
  readonly state: string | null;
  /** Members of the result beside these (`_meta`), one JSON object, or null. */
  readonly meta: Uint8Array | null;
  /** Resolves when the upstream waits for no answers any more; what it says then is had without them. Null: nobody knows. */
  readonly over: Promise<void> | null;

  constructor(
    questions: ReadonlyMap<string, Question>,
    state: string | null,
    meta: Uint8Array | null = null,
    over: Promise<void> | null = null,
  ) {
    this.over = over;
    this.questions = questions;
    this.state = state;
    this.meta = meta;
  }
}

/** What a client said to one question: a bare result, or (legacy only) a JSON-RPC error object. */
export interface QuestionAnswer {
  readonly kind: 'result' | 'error';
  readonly bytes: Uint8Array;
}

/** What goes back to the upstream in the next round. */
export interface Answers {
  readonly given: ReadonlyMap<string, QuestionAnswer>;
  readonly state: string | null;
}
