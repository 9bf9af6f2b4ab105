import type { Result } from '../core/call.ts';
import { mirroredHeaders } from '../core/mcp/mcp-headers.ts';
import type { Answers, InputRequired, Question, QuestionAnswer } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { dressAnswer, readAnswer } from './answer.ts';
import { lacking } from './asked.ts';
import { type Bridged, bridged } from './capabilities.ts';
import { type Classified, isListChanged } from './message-kind.ts';
import { noticeFor } from './notices.ts';
import { MODERN, outgoingMessage } from './outgoing.ts';
import type { UpstreamRequest } from './request.ts';
import type { Session } from './session.ts';
import { type Incoming, WireFault } from './wire.ts';

export interface ModernParts {
  readonly session: Session;
  readonly extensions: readonly string[];
  readonly nextId: () => number;
  readonly onListChanged: () => void;
  /** Whether the live definition of a tool still is the pinned one; asked when our headers were refused. */
  readonly isAsPinned: (request: UpstreamRequest) => Promise<boolean>;
}

/** Calls to a server that keeps nothing between them. */
export class ModernUpstream {
  readonly era = 'modern';
  readonly session: Session;
  readonly #parts: ModernParts;

  constructor(parts: ModernParts) {
    this.#parts = parts;
    this.session = parts.session;
  }

  async call(request: UpstreamRequest): Promise<Result | Refusal | InputRequired | WireFault> {
    const bridge = bridged(request.client, this.#parts.extensions);
    if (!request.answers) return this.#send(request, bridge, true);
    const answers = withoutErrors(request.answers, request.asked);
    return answers instanceof Refusal ? answers : this.#send({ ...request, answers }, bridge, true);
  }

  async #send(
    request: UpstreamRequest,
    bridge: Bridged,
    again: boolean,
  ): Promise<Result | Refusal | InputRequired | WireFault> {
    const id = this.#parts.nextId();
    const mark = { last: Number.NEGATIVE_INFINITY };
    const incoming = await this.session.wire.exchange({
      id,
      method: request.message.method,
      bytes: outgoingMessage(request, id, 'modern', bridge),
      // Mirrored from what is sent, never copied from what came (protocol.md 1.4).
      headers: ['mcp-protocol-version', MODERN, ...mirroredHeaders(request)],
      timeoutMs: request.target.limits.timeoutMs,
      maxBytes: request.maxResultBytes,
      signal: request.signal,
      onOther: (message, read) => {
        if (isNotice(read) && isListChanged(message, read.spans!)) return this.#parts.onListChanged();
        const notice = request.onNotification && noticeFor(request, id, mark, message, read);
        if (notice) request.onNotification?.(notice);
      },
    });
    if (incoming instanceof WireFault) return incoming;
    const answer = this.#read(incoming, id);
    if (answer instanceof WireFault) return answer;
    if (again && answer.kind === 'error' && (answer.view() as { code?: unknown } | null)?.code === HEADER_MISMATCH) {
      // Refused before it ran: once more, if what we mirror is what the server wants mirrored now.
      if (await this.#parts.isAsPinned(request)) return this.#send(request, bridge, false);
      this.#parts.onListChanged();
    }
    return dressAnswer(answer, request, 'modern', bridge);
  }

  #read(incoming: Incoming, id: number) {
    if (incoming.status === 401 || incoming.status === 403)
      return new WireFault('unavailable', false, `HTTP ${incoming.status}: our credential was refused`);
    return readAnswer(incoming, id);
  }

  close(): Promise<void> {
    return this.session.wire.close();
  }
}

const HEADER_MISMATCH = -32020;
const isNotice = ({ kind, spans }: Classified) => kind === 'notification' && spans !== null;
const CANCELLED: QuestionAnswer = { kind: 'result', bytes: Buffer.from('{"action":"cancel"}') };

/** A modern upstream knows no errors in place of answers: who was asked and failed has cancelled, or cannot be asked. */
function withoutErrors(answers: Answers, asked: ReadonlyMap<string, Question> | undefined): Answers | Refusal {
  const given = new Map<string, QuestionAnswer>();
  for (const [key, answer] of answers.given) {
    const method = asked?.get(key)?.method;
    if (answer.kind === 'result') given.set(key, answer);
    else if (method === 'elicitation/create') given.set(key, CANCELLED);
    else
      return lacking(method === 'roots/list' ? { roots: {} } : { sampling: {} }, 'the client answered with an error');
  }
  return { given, state: answers.state };
}
