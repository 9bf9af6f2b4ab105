import type { Result } from '../core/call.ts';
import { mirroredHeaders } from '../core/mcp/mcp-headers.ts';
import { declaresTasks } from '../core/mcp/tasks.ts';
import type { Answers, InputRequired, Question, QuestionAnswer } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { dressAnswer, readAnswer } from './answer.ts';
import { lacking } from './asked.ts';
import { type Bridged, bridged } from './capabilities.ts';
import type { Interest, TaskInterest } from './following.ts';
import { keepOpen } from './keep-open.ts';
import { type Classified, changedList, type ListName } from './message-kind.ts';
import { changingLists, listen } from './modern-listen.ts';
import { noticeFor } from './notices.ts';
import { MODERN, outgoingMessage } from './outgoing.ts';
import type { UpstreamRequest } from './request.ts';
import type { Session } from './session.ts';
import { StreamSlots } from './stream-slots.ts';
import { taskToldOf } from './told-tasks.ts';
import { updatedResource, updateOf } from './updates.ts';
import { type Incoming, WireFault } from './wire.ts';

export interface ModernParts {
  readonly session: Session;
  readonly extensions: readonly string[];
  readonly nextId: () => number;
  readonly mono: () => number;
  /** Undefined: nobody knows which. */
  readonly onListChanged: (list?: ListName) => void;
  /** Whether the live definition of a tool still is the pinned one; asked when our headers were refused. */
  readonly isAsPinned: (request: UpstreamRequest) => Promise<boolean>;
}

/** Calls to a server that keeps nothing between them. */
export class ModernUpstream {
  readonly era = 'modern';
  readonly session: Session;
  readonly #parts: ModernParts;
  readonly #over = new AbortController();
  readonly #slots: StreamSlots;

  constructor(parts: ModernParts) {
    this.#parts = parts;
    this.session = parts.session;
    this.#slots = new StreamSlots(parts.session.wire.connections);
    void this.#hearOfLists();
  }

  /** One stream for changes of the lists, kept open; none where the server says it tells of none. */
  async #hearOfLists(): Promise<void> {
    const { session, nextId, mono, onListChanged } = this.#parts;
    const filter = changingLists(session);
    if (Object.keys(filter).length === 0) return;
    const heard = {
      onHonoured: () => {},
      onEvent: (message: Uint8Array, read: Classified) => {
        const list = changedList(message, read);
        if (list !== null) onListChanged(list);
      },
    };
    const once = async () => {
      const id = nextId();
      return isWorthAgain(await listen(session, id, filter, this.#over.signal, heard), id);
    };
    const listening = async () => {
      await keepOpen(once, this.#over.signal, mono);
      return false;
    };
    await this.#slots.during(null, listening);
  }

  /** Updates of resources: a stream of this principal alone. @returns whether it makes sense to try again */
  async follow(
    { principal, resources }: Interest,
    signal: AbortSignal,
    onHonoured: (resources: readonly string[]) => void,
    onEvent: (notification: Uint8Array) => void,
  ): Promise<boolean> {
    const { session, nextId } = this.#parts;
    const declared = session.capabilities['resources'] as { subscribe?: unknown } | undefined;
    if (declared?.subscribe !== true) return false;
    let honoured: readonly string[] = [];
    const ends = AbortSignal.any([signal, this.#over.signal]);
    const id = nextId();
    const heard = {
      onHonoured: (uris: readonly string[]) => {
        honoured = uris;
        onHonoured(uris);
      },
      onEvent: (message: Uint8Array, read: Classified) => {
        const uri = updatedResource(message, read);
        if (uri !== null && honoured.includes(uri)) onEvent(updateOf(uri));
      },
    };
    return this.#slots.during(principal.key, async () =>
      isWorthAgain(await listen(session, id, { resourceSubscriptions: resources }, ends, heard), id),
    );
  }

  /** What becomes of tasks: a stream of this client alone. @returns whether it makes sense to try again */
  async followTasks(
    { principal, client, tasks }: TaskInterest,
    signal: AbortSignal,
    onHonoured: (tasks: readonly string[]) => void,
    onTask: (id: string, state: Uint8Array) => void,
  ): Promise<boolean> {
    const { session, nextId, extensions } = this.#parts;
    const bridge = bridged(client, extensions, true);
    if (!bridge.tasks || !declaresTasks(session.capabilities)) return false;
    let honoured: readonly string[] = [];
    const id = nextId();
    const heard = {
      onHonoured: (_: readonly string[], ids: readonly string[]) => {
        honoured = ids;
        onHonoured(ids);
      },
      onEvent: (message: Uint8Array, read: Classified) => {
        const told = taskToldOf(message, read);
        if (told && honoured.includes(told.id)) onTask(told.id, told.state);
      },
    };
    const ends = AbortSignal.any([signal, this.#over.signal]);
    return this.#slots.during(principal.key, async () =>
      isWorthAgain(await listen(session, id, { taskIds: tasks }, ends, heard, JSON.parse(bridge.json)), id),
    );
  }

  call(request: UpstreamRequest): Promise<Result | Refusal | InputRequired | WireFault> {
    const bridge = bridged(request.client, this.#parts.extensions, request.tasks != null);
    if (!request.answers) return this.#send(request, bridge, true);
    const answers = withoutErrors(request.answers, request.asked);
    if (answers instanceof Refusal) return Promise.resolve(answers);
    return this.#send({ ...request, answers }, bridge, true);
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
        if (read.kind === 'request') return;
        const list = changedList(message, read);
        if (list !== null) return this.#parts.onListChanged(list);
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
    return dressAnswer(answer, request, 'modern', bridge, this.#parts.extensions);
  }

  #read(incoming: Incoming, id: number) {
    if (incoming.status === 401 || incoming.status === 403)
      return new WireFault('unavailable', false, `HTTP ${incoming.status}: our credential was refused`);
    return readAnswer(incoming, id);
  }

  /** Its process or its place is gone: nobody listens there any more. */
  over(): void {
    this.#over.abort();
  }

  close(): Promise<void> {
    this.over();
    return this.session.wire.close();
  }
}

/** A stream that broke may be opened again; one that was refused in so many words would be refused again. */
function isWorthAgain(end: Incoming | WireFault, id: number): boolean {
  if (end instanceof WireFault) return end.code !== 'cancelled';
  const answer = readAnswer(end, id);
  return !(answer instanceof WireFault) && answer.kind === 'result';
}

const HEADER_MISMATCH = -32020;
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
