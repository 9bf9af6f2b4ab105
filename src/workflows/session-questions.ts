import type { CallWith, Now, Result } from '../core/call.ts';
import { sha256Base64Url } from '../core/crypto/digest.ts';
import type { RefusalCode } from '../core/mcp/refusals.ts';
import { type Answers, InputRequired, type Question, type QuestionAnswer } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import type { OpenQuestions } from './open-questions.ts';
import { wordedFor } from './question-words.ts';

export type AskedCall = CallWith<'principal' | 'message' | 'client' | 'target' | 'arguments' | 'decision'>;
export type Resume = (answers: Answers) => Promise<Result | Refusal | InputRequired>;

export interface SessionQuestionsParts {
  readonly open: OpenQuestions;
  /** Takes one message through the judges of events: the bytes that may go, or why not. */
  readonly judge: (call: AskedCall, message: Uint8Array, now: Now) => Uint8Array | RefusalCode;
  /**
   * Whether the call may still go on after a wait: its credential has not ended, its target has not been withdrawn or
   * hidden meanwhile, and policy still says of it what it said. Null: it may.
   */
  readonly standing: (call: AskedCall, now: Now) => RefusalCode | null;
  /** Whether the session has ended or expired: whoever was asked in it could not answer any more. */
  readonly over: (call: AskedCall, now: Now) => boolean;
  /** What a client answered goes to a server as its arguments do: a secret in it is refused. */
  readonly allows: (call: AskedCall, answer: Uint8Array) => Refusal | null;
  /** Takes the place of one waiting call of this principal; refuses when he has too many. */
  readonly hold: (call: AskedCall) => { release(): void } | Refusal;
  /** Resolves when the exchange is in the log. @throws when it never will be */
  readonly record: (call: AskedCall, exchange: Exchange) => Promise<unknown>;
  readonly clock: () => Now;
  readonly bounds?: Partial<QuestionBounds>;
}

export interface QuestionBounds {
  /** An upstream that asks without end is cut: the SDK's own bridge stops after as many (protocol.md 2.3). */
  readonly rounds: number;
  /** Of one round. */
  readonly questions: number;
  /** A person has to read and decide; a call that waits longer holds its places for nobody. */
  readonly answerMs: number;
  /** Before a server that asks nothing but to be asked again, as the SDK does. */
  readonly pauseMs: number;
}

export const QUESTION_BOUNDS: QuestionBounds = { rounds: 8, questions: 16, answerMs: 5 * 60_000, pauseMs: 250 };

/** What was asked and answered in one round. Digests here; the words go sealed. */
export interface Exchange {
  readonly meta: Readonly<Record<string, unknown>>;
  readonly payload: Uint8Array;
}

interface Waiting {
  readonly id: string;
  /** null: nobody is there any more to answer. */
  readonly answer: Promise<QuestionAnswer | null>;
}

/**
 * Questions put to a legacy client: requests on the stream of its call, answered by responses it posts. The call waits
 * here, in stage `upstream`, until the upstream has its result, the client leaves or a bound is met.
 */
export class SessionQuestions {
  readonly #parts: SessionQuestionsParts;
  readonly #bounds: QuestionBounds;

  constructor(parts: SessionQuestionsParts) {
    this.#parts = parts;
    this.#bounds = { ...QUESTION_BOUNDS, ...parts.bounds };
  }

  async ask(call: AskedCall, first: InputRequired, resume: Resume): Promise<Result | Refusal> {
    if (call.client.session === null || call.events === null)
      return new Refusal('upstream.capability', {
        text: 'The tool asks a question in the middle of the call, and this client opened no session or stream to be asked on.',
        evidence: call.client.session === null ? 'no session to be asked in' : 'no stream to be asked on',
      });
    const place = this.#parts.hold(call);
    if (place instanceof Refusal) return place;
    try {
      return await this.#rounds(call, first, resume);
    } finally {
      place.release();
    }
  }

  async #rounds(call: AskedCall, first: InputRequired, resume: Resume): Promise<Result | Refusal> {
    let asked = first;
    let number = 0;
    for (let round = 0; round < this.#bounds.rounds; round++) {
      const given = await this.#round(call, asked, number);
      if (given instanceof Refusal) return given;
      number += asked.questions.size;
      // People take their time; what was judged before is judged again before anything goes out.
      const lost = this.#parts.standing(call, this.#parts.clock());
      if (lost !== null) return new Refusal(lost, { evidence: 'no longer so when the answers had come' });
      const answered = await resume({ given, state: asked.state });
      if (!(answered instanceof InputRequired)) return answered;
      asked = answered;
    }
    return new Refusal('upstream.protocol', { evidence: `asked again after ${this.#bounds.rounds} rounds` });
  }

  async #round(
    call: AskedCall,
    asked: InputRequired,
    before: number,
  ): Promise<ReadonlyMap<string, QuestionAnswer> | Refusal> {
    if (this.#parts.over(call, this.#parts.clock())) return sessionOver();
    if (asked.questions.size === 0) return this.#pause(call);
    if (asked.questions.size > this.#bounds.questions)
      return new Refusal('upstream.protocol', { evidence: `${asked.questions.size} questions at once` });
    const waiting = new Map<string, Waiting>();
    try {
      for (const [key, question] of asked.questions) {
        const put = this.#put(call, question, before + waiting.size + 1);
        if (put instanceof Refusal) return put;
        waiting.set(key, put);
      }
      const given = await this.#answers(call, waiting, asked.over);
      if (given instanceof Refusal) return given;
      for (const { bytes } of given.values()) {
        const refused = this.#parts.allows(call, bytes);
        if (refused) return refused;
      }
      return (await this.#recorded(call, asked, given)) ?? given;
    } finally {
      for (const { id } of waiting.values()) this.#parts.open.withdraw(id);
    }
  }

  /** Sends one question, judged as every message to a client. */
  #put(call: AskedCall, question: Question, n: number): Waiting | Refusal {
    const { open, judge, clock } = this.#parts;
    const params = wordedFor(call.client.revision, question);
    if (params === null) return new Refusal('upstream.protocol', { evidence: 'a question without readable params' });
    const { promise, resolve } = Promise.withResolvers<QuestionAnswer | null>();
    const id = open.put(whoIs(call), call.id, n, resolve);
    if (id === null) return new Refusal('limits.overloaded', { evidence: 'too many questions wait in this process' });
    const message = Buffer.concat([
      Buffer.from(`{"jsonrpc":"2.0","id":"${id}","method":"${question.method}","params":`),
      params,
      Buffer.from('}'),
    ]);
    const judged = judge(call, message, clock());
    if (typeof judged === 'string') {
      open.withdraw(id);
      return new Refusal(judged, { evidence: `a question of the upstream was held back: ${question.method}` });
    }
    call.events?.(judged);
    return { id, answer: promise };
  }

  /** All answers, or why they did not come. What nobody waits for any more is taken back from the client. */
  async #answers(
    call: AskedCall,
    waiting: ReadonlyMap<string, Waiting>,
    over: InputRequired['over'],
  ): Promise<ReadonlyMap<string, QuestionAnswer> | Refusal> {
    const ended = Promise.withResolvers<Refusal>();
    const cancelled = () => ended.resolve(new Refusal('upstream.cancelled', { evidence: 'cancelled at a question' }));
    const late = () =>
      ended.resolve(
        new Refusal('upstream.timeout', {
          text: 'A question of the tool was not answered in time; it may have run in part.',
          evidence: 'a question was not answered',
        }),
      );
    const timer = setTimeout(late, this.#bounds.answerMs);
    timer.unref();
    call.signal.addEventListener('abort', cancelled, { once: true });
    if (call.signal.aborted) cancelled();
    try {
      const all = Promise.all([...waiting].map(async ([key, one]) => [key, await one.answer] as const));
      // Its server has its answer, or is gone: the next round says which.
      const gone = over?.then((): readonly [] => []) ?? ended.promise;
      const given = await Promise.race([all, ended.promise, gone]);
      if (!(given instanceof Refusal) && given.length === waiting.size) return complete(given) ?? sessionOver();
      for (const { id } of waiting.values()) this.#takeBack(call, id);
      return given instanceof Refusal ? given : new Map();
    } finally {
      clearTimeout(timer);
      call.signal.removeEventListener('abort', cancelled);
    }
  }

  #takeBack(call: AskedCall, id: string): void {
    const params = `{"requestId":"${id}","reason":"nobody waits for the answer any more"}`;
    call.events?.(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`));
  }

  /** The server only wants to be asked again. */
  async #pause(call: AskedCall): Promise<ReadonlyMap<string, QuestionAnswer> | Refusal> {
    const left = Promise.withResolvers<void>();
    const timer = setTimeout(left.resolve, this.#bounds.pauseMs);
    call.signal.addEventListener('abort', left.resolve, { once: true });
    if (!call.signal.aborted) await left.promise;
    clearTimeout(timer);
    call.signal.removeEventListener('abort', left.resolve);
    if (!call.signal.aborted) return new Map();
    return new Refusal('upstream.cancelled', { evidence: 'cancelled between two rounds' });
  }

  /** What nobody could prove afterwards does not go on: the call has begun, so its outcome is unknown. */
  async #recorded(
    call: AskedCall,
    asked: InputRequired,
    given: ReadonlyMap<string, QuestionAnswer>,
  ): Promise<Refusal | null> {
    try {
      await this.#parts.record(call, exchangeOf(call, asked, given));
      return null;
    } catch (cause) {
      return new Refusal('audit.outcome_unknown', { evidence: 'an answer could not be recorded', cause });
    }
  }
}

/** Null when one of them will never come. */
function complete(
  given: readonly (readonly [string, QuestionAnswer | null])[],
): ReadonlyMap<string, QuestionAnswer> | null {
  const answers = new Map<string, QuestionAnswer>();
  for (const [key, answer] of given) {
    if (answer === null) return null;
    answers.set(key, answer);
  }
  return answers;
}

function sessionOver(): Refusal {
  return new Refusal('upstream.cancelled', { evidence: 'the session ended at a question' });
}

export function whoIs(call: AskedCall): { session: string; principal: string } {
  return { session: call.client.session?.id ?? '', principal: call.principal.key };
}

function exchangeOf(call: AskedCall, asked: InputRequired, given: ReadonlyMap<string, QuestionAnswer>): Exchange {
  const questions = [...asked.questions].map(([key, { method, params }]) => {
    const answer = given.get(key);
    return {
      meta: {
        method,
        question: sha256Base64Url(params),
        answer: answer ? sha256Base64Url(answer.bytes) : null,
        kind: answer?.kind ?? null,
      },
      text: `{"method":"${method}","params":${textOf(params)},"${answer?.kind ?? 'result'}":${textOf(answer?.bytes)}}`,
    };
  });
  return {
    meta: {
      event: 'questions',
      call: call.id,
      target: call.target.key,
      questions: questions.map((question) => question.meta),
    },
    payload: Buffer.from(`[${questions.map((question) => question.text).join(',')}]`),
  };
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? 'null' : Buffer.from(bytes).toString('utf8');
}
