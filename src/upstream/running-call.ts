import { MODERN_REVISION } from '../core/call.ts';
import type { Question, QuestionAnswer } from '../core/questions.ts';
import { isQuestion, MAX_QUESTIONS, questionOf } from './asked.ts';
import { type Bridged, missingFor } from './capabilities.ts';
import { type LogLevel, levelOf } from './log-level.ts';
import { type Classified, changedList, type ListName, textOf } from './message-kind.ts';
import { noticeFor, type ProgressMark } from './notices.ts';
import type { UpstreamRequest } from './request.ts';
import { type Incoming, type Outgoing, WireFault } from './wire.ts';

/** How one call of a legacy session goes out, and how its side messages do. */
export interface CallLine {
  exchange(outgoing: Outgoing): Promise<Incoming | WireFault>;
  /** Sends one message beside the call; resolves with whether it was taken. */
  say(message: Uint8Array): Promise<boolean>;
  readonly onListChanged: (list: ListName) => void;
  /** Leaving the call does not say by itself that it is not wanted any more (legacy HTTP). */
  readonly cancelsByNotice: boolean;
}

/** Questions that wait for answers, by our keys. */
export interface Asked {
  readonly questions: ReadonlyMap<string, Question>;
}

interface Waiting {
  readonly question: Question;
  /** The upstream's own id of its request, byte for byte. */
  readonly id: Buffer;
}

const GATHER_MS = 5;
/** All questions of one call together: they are kept while somebody thinks about them. */
const MAX_ASKED_BYTES = 1024 * 1024;
/** No call lasts longer, however often it asks. */
const LIFE_MS = 3600_000;
const REFUSED = '"error":{"code":-32601,"message":"Not supported by this client"}';

/**
 * One call of a legacy upstream, from its request to its answer. While the upstream waits for answers of the client the
 * clock of the call stands still; it goes on with `answer`, in a later round or over the same request.
 */
export class RunningCall {
  readonly #line: CallLine;
  /** Log lines its client wants to hear; null: none. */
  readonly level: LogLevel | null;
  readonly #id: number;
  readonly #bridge: Bridged;
  readonly #abort = new AbortController();
  readonly #asked = new Map<string, Waiting>();
  readonly #progress: ProgressMark = { last: Number.NEGATIVE_INFINITY };
  #request: UpstreamRequest;
  #end: Incoming | WireFault | null = null;
  readonly #ended = Promise.withResolvers<void>();
  #wake: (() => void) | null = null;
  #serial = 0;
  #askedBytes = 0;
  #parked = false;
  #leave: () => void = () => {};

  constructor(line: CallLine, id: number, bridge: Bridged, request: UpstreamRequest) {
    this.#line = line;
    this.#id = id;
    this.#bridge = bridge;
    this.#request = request;
    this.level = levelOf(request);
  }

  get id(): number {
    return this.#id;
  }

  /** It ended without an answer, whoever was waiting for one. */
  get isLost(): boolean {
    return this.#end instanceof WireFault;
  }

  /** Resolves when it is over, whoever waits for what. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Its upstream has asked, and waits for answers. */
  get isWaiting(): boolean {
    return this.#end === null && this.#wake === null && this.#asked.size > 0;
  }

  /** Sends the call. @param onEnd told when it is over, whoever waits for it */
  begin(bytes: Uint8Array, headers: readonly string[], onEnd: () => void): void {
    const { maxResultBytes, message } = this.#request;
    void this.#line
      .exchange({
        id: this.#id,
        method: message.method,
        bytes,
        headers,
        timeoutMs: LIFE_MS,
        maxBytes: maxResultBytes,
        signal: this.#abort.signal,
        onOther: (other, read) => this.other(other, read),
        takesQuestions: true,
        resumes: true,
      })
      // A carrier answers with a fault; what it throws is a bug of ours, and the call may have run.
      .catch(({ name }: Error) => new WireFault('protocol', true, `thrown: ${name}`))
      .then((incoming) => {
        this.#finish(incoming);
        onEnd();
      });
  }

  /** Waits for the next question or the answer, for as long as `request` allows. */
  next(request: UpstreamRequest): Promise<Asked | Incoming | WireFault> {
    this.#parked = false;
    this.#leave();
    this.#request = request;
    if (this.#end) return Promise.resolve(this.#end);
    const { signal } = request;
    const { timeoutMs } = request.target.limits;
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#wake = null;
        if (this.#end) this.#leave();
        else this.#park();
        resolve(this.#end ?? { questions: new Map([...this.#asked].map(([key, { question }]) => [key, question])) });
      };
      const timer = setTimeout(
        () => this.#give(new WireFault('timeout', true, `no answer in ${timeoutMs} ms`)),
        timeoutMs,
      );
      const onAbort = () => this.#give(new WireFault('cancelled', true, 'the client left'));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#leave = () => signal.removeEventListener('abort', onAbort);
      this.#wake = settle;
      if (signal.aborted) onAbort();
      else if (this.#asked.size > 0) settle();
    });
  }

  /** A modern client has gone until its next round; a legacy one is still there, and may still cancel. */
  #park(): void {
    this.#parked = this.#request.client.revision === MODERN_REVISION;
    if (this.#parked) this.#leave();
  }

  /** Posts what the client said; keys that were not asked say nothing. Resolves with whether the upstream took it all. */
  async answer(given: ReadonlyMap<string, QuestionAnswer>): Promise<boolean> {
    let taken = true;
    for (const [key, { kind, bytes }] of given) {
      const waiting = this.#asked.get(key);
      if (!waiting) continue;
      this.#asked.delete(key);
      taken &&= await this.#reply(waiting.id, kind, bytes);
    }
    return taken;
  }

  /** Nobody came back. */
  abandon(): void {
    this.#give(new WireFault('cancelled', true, 'no answers came back in time'));
  }

  #reply(id: Uint8Array, kind: 'result' | 'error', value: Uint8Array): Promise<boolean> {
    return this.#line.say(
      Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":'), id, Buffer.from(`,"${kind}":`), value, Buffer.from('}')]),
    );
  }

  /** Ends the call from our side; what the upstream makes of it is unknown. */
  #give(fault: WireFault): void {
    if (this.#end) return;
    if (this.#line.cancelsByNotice) {
      const params = `{"requestId":${this.#id},"reason":"${fault.code}"}`;
      void this.#line.say(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`));
    }
    this.#finish(fault);
    this.#abort.abort();
  }

  #finish(end: Incoming | WireFault): void {
    this.#end ??= end;
    this.#ended.resolve();
    this.#wake?.();
  }

  /** Takes a message of the upstream that is about this call. */
  other(message: Uint8Array, read: Classified): void {
    if (!read.spans) return;
    if (read.kind === 'request') return this.#question(message, read);
    if (this.#end) return;
    const list = changedList(message, read);
    if (list !== null) return this.#line.onListChanged(list);
    if (textOf(message, read.spans.method!) === '"notifications/cancelled"') return this.#withdraw(message, read);
    const { onNotification } = this.#request;
    if (!onNotification || this.#parked) return;
    const notice = noticeFor(this.#request, this.#id, this.#progress, message, read);
    if (notice) onNotification(notice);
  }

  /** A question this client declared it can be asked waits for it; every other request is answered at once. */
  #question(message: Uint8Array, { spans }: Classified): void {
    const id = Buffer.from(message.subarray(spans!.id!.start, spans!.id!.end));
    const method = textOf(message, spans!.method!).slice(1, -1);
    if (method === 'ping') return void this.#reply(id, 'result', Buffer.from('{}'));
    const question = isQuestion(method) ? questionOf(method, message, spans!.params) : null;
    const room = this.#asked.size < MAX_QUESTIONS && this.#askedBytes + message.length <= MAX_ASKED_BYTES;
    if (this.#end || !question || missingFor(question, this.#bridge) || !room)
      return void this.#line.say(Buffer.from(`{"jsonrpc":"2.0","id":${id.toString()},${REFUSED}}`));
    this.#askedBytes += message.length;
    this.#asked.set(`q${++this.#serial}`, { question, id });
    // What is asked at nearly the same time is asked in the same round.
    setTimeout(() => {
      if (this.#asked.size > 0) this.#wake?.();
    }, GATHER_MS);
  }

  /** The upstream does not want this answer any more. */
  #withdraw(message: Uint8Array, { spans }: Classified): void {
    const span = spans!.paramsMembers.get('requestId');
    if (!span) return;
    for (const [key, { id }] of this.#asked)
      if (id.equals(message.subarray(span.start, span.end))) this.#asked.delete(key);
  }
}
