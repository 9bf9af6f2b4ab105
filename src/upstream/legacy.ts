import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, Result } from '../core/call.ts';
import { InputRequired } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { dressAnswer, readAnswer } from './answer.ts';
import { bridged, NOTHING_BRIDGED } from './capabilities.ts';
import type { Interest } from './following.ts';
import type { LegacySession } from './legacy-session.ts';
import { LegacySessions, NO_ROOM, OWN, type SessionBounds } from './legacy-sessions.ts';
import { levelOf } from './log-level.ts';
import type { ListName } from './message-kind.ts';
import { outgoingMessage } from './outgoing.ts';
import { ParkedCalls } from './parked.ts';
import type { UpstreamRequest } from './request.ts';
import { RunningCall } from './running-call.ts';
import { type Carrier, type Incoming, type Wire, WireFault } from './wire.ts';

export interface LegacyParts {
  /** A wire for a new session. */
  readonly dial: () => Wire;
  /** http: one wire for all sessions. stdio: a process each, and one for all clients of which nothing can be asked. */
  readonly carrier: Carrier;
  /** Extensions the operator lets through. */
  readonly extensions: readonly string[];
  /** How many calls may wait for answers; over HTTP each holds a connection. */
  readonly maxParked: number;
  /** How long a call waits for answers of a client, ms. */
  readonly answerMs: number;
  readonly nextId: () => number;
  readonly mono: () => number;
  readonly onListChanged: (list: ListName) => void;
  /** Told when a session ended by itself, or another server answers in the place of the one that was looked at. */
  readonly onEnded: () => void;
}

/** Processes weigh more than sessions. */
const BOUNDS: Readonly<Record<LegacyParts['carrier'], SessionBounds>> = {
  http: { total: 1024, perOwner: 8, idleMs: 600_000 },
  sse: { total: 128, perOwner: 4, idleMs: 300_000 },
  stdio: { total: 32, perOwner: 4, idleMs: 300_000 },
};
const PARKED_PER_OWNER = 16;
/** How often a retiring one looks whether anything still runs. */
const RETIRE_LOOK_MS = 200;

/** Calls to a server that begins with `initialize`, in sessions of their own, asked questions included. */
export class LegacyUpstream {
  readonly era = 'legacy';
  readonly carrier: Carrier;
  readonly sessions: LegacySessions;
  readonly #parts: LegacyParts;
  readonly #parked: ParkedCalls<RunningCall>;
  /** As it was when it was looked at; '' before. */
  #identity = '';
  #closed = false;

  constructor(parts: LegacyParts) {
    this.#parts = parts;
    this.carrier = parts.carrier;
    const { carrier, dial, mono, nextId, onListChanged } = parts;
    const pool = { sharesWire: carrier === 'http', bounds: BOUNDS[carrier] };
    this.sessions = new LegacySessions({ dial, mono, nextId, onListChanged, ...pool });
    this.#parked = new ParkedCalls({ total: parts.maxParked, perOwner: PARKED_PER_OWNER, waitMs: parts.answerMs });
  }

  /** The gateway's own session: what the server says of itself, and calls of which nothing is left in it. */
  async own(): Promise<LegacySession | WireFault> {
    const session = await this.sessions.get(OWN.owner, OWN.bridge);
    if (!(session instanceof WireFault)) this.#identity = session.identity;
    return session;
  }

  /** @throws never; a fault is why there is no answer */
  call(request: UpstreamRequest): Promise<Result | Refusal | InputRequired | WireFault> {
    const state = request.answers?.state ?? null;
    return state === null ? this.#begin(request, true) : this.#goOn(request, state);
  }

  async #begin(request: UpstreamRequest, again: boolean): Promise<Result | Refusal | InputRequired | WireFault> {
    const bridge = bridged(request.client, this.#parts.extensions);
    const session = await this.#sessionFor(request);
    if (session instanceof WireFault)
      return session.evidence === NO_ROOM ? new Refusal('limits.streams', { evidence: NO_ROOM }) : session;
    const { nextId, carrier } = this.#parts;
    const id = nextId();
    const { headers } = session;
    const line = {
      exchange: session.wire.exchange.bind(session.wire),
      say: (message: Uint8Array) => session.say(message),
      cancelsByNotice: carrier !== 'stdio',
      onListChanged: this.#parts.onListChanged,
    };
    const running = new RunningCall(line, id, bridge, request);
    session.running.set(id, running);
    await session.setLevel();
    // Opening a session takes its time; a call that was cancelled meanwhile must not begin.
    if (request.signal.aborted) {
      session.running.delete(id);
      return new WireFault('cancelled', false, 'the client left');
    }
    running.begin(outgoingMessage(request, id, 'legacy', bridge), headers, () => session.running.delete(id));
    const next = await running.next(request);
    if (again && !(next instanceof WireFault) && 'status' in next && next.status === 404 && session.sessionId) {
      // It was refused there, and so did not run; others may have heard the same already, and opened another.
      if (this.sessions.lost(session) && session.owner === '') this.#parts.onEnded();
      return this.#begin(request, false);
    }
    return this.#judge(next, running, request);
  }

  async #goOn(request: UpstreamRequest, state: string): Promise<Result | Refusal | InputRequired | WireFault> {
    const running = this.#parked.take(state, request.principal.key);
    if (!running || running.isLost) return stateLost('no such call waits for this principal');
    if (!(await running.answer(request.answers!.given))) {
      running.abandon();
      return stateLost('the answers were not taken');
    }
    return this.#judge(await running.next(request), running, request);
  }

  /** Ends a call that waits for answers: none will come. */
  drop(state: string, owner: string): void {
    this.#parked.take(state, owner)?.abandon();
  }

  #judge(
    next: Awaited<ReturnType<RunningCall['next']>>,
    running: RunningCall,
    request: UpstreamRequest,
  ): Result | Refusal | InputRequired | WireFault {
    if (next instanceof WireFault)
      return request.answers?.state && next.code === 'unavailable' ? stateLost(next.evidence) : next;
    if ('questions' in next) {
      const name = this.#parked.park(request.principal.key, running);
      if (name !== null) return new InputRequired(next.questions, name, null, running.ended);
      running.abandon();
      return new Refusal('limits.streams', { evidence: 'as many calls wait for answers as may' });
    }
    return this.#read(next, running.id, request);
  }

  #read(incoming: Incoming, id: number, request: UpstreamRequest): Result | Refusal | InputRequired | WireFault {
    if (incoming.status === 401 || incoming.status === 403)
      return new WireFault('unavailable', false, `HTTP ${incoming.status}: our credential was refused`);
    if (incoming.status === 404 && !incoming.spans) return new WireFault('unavailable', false, 'HTTP 404');
    const answer = readAnswer(incoming, id);
    if (answer instanceof WireFault) return answer;
    return dressAnswer(answer, request, 'legacy', bridged(request.client, this.#parts.extensions));
  }

  /**
   * Who leaves nothing behind needs no session of his own: nothing can be asked of a client, and a server without
   * session ids keeps no state for one, nor does a process that every caller shares anyway.
   */
  async #sessionFor({ client, principal }: UpstreamRequest): Promise<LegacySession | WireFault> {
    const bridge = bridged(client, this.#parts.extensions);
    const own = await this.own();
    if (own instanceof WireFault) return own;
    if (bridge.json === '{}' && this.#leavesNothing(own) && !this.#hearsLines(own, client)) return own;
    const session = await this.sessions.get(principal.key, bridge);
    if (session instanceof WireFault || session.identity === this.#identity) return session;
    this.sessions.lost(own);
    this.#parts.onEnded();
    return new WireFault('unavailable', false, 'another server answers in its place');
  }

  #leavesNothing(own: LegacySession): boolean {
    return this.#parts.carrier === 'stdio' || (this.#parts.carrier === 'http' && own.sessionId === null);
  }

  /** A log line of a process names no call: only in a process of its own it is certainly this principal's. */
  #hearsLines(own: LegacySession, client: Client): boolean {
    const logs = own.capabilities['logging'] !== undefined;
    return this.#parts.carrier === 'stdio' && logs && levelOf({ client }) !== null;
  }

  /** Updates of resources, in a session of this principal. @returns whether it makes sense to try again */
  async follow(
    { principal, resources }: Interest,
    signal: AbortSignal,
    onHonoured: (resources: readonly string[]) => void,
    onEvent: (notification: Uint8Array) => void,
  ): Promise<boolean> {
    const own = await this.own();
    if (own instanceof WireFault) return true;
    const session = this.#leavesNothing(own) ? own : await this.sessions.get(principal.key, NOTHING_BRIDGED);
    if (session instanceof WireFault) return true;
    let honoured = false;
    await session.follow(resources, signal, onEvent, (uris) => {
      honoured = uris.length > 0;
      onHonoured(uris);
    });
    return honoured;
  }

  /**
   * Another takes its place: calls that run end as they began, then it closes. Those that wait for answers of clients
   * are not waited for: the answers go to the other now.
   */
  async retire(): Promise<void> {
    while (!this.#closed && this.sessions.areActive) await sleep(RETIRE_LOOK_MS, undefined, { ref: false });
    await this.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#parked.close();
    await this.sessions.close();
  }
}

/** It may have run; nobody sends it again by himself. */
function stateLost(evidence: string): Refusal {
  return new Refusal('upstream.state_lost', { data: { mayHaveExecuted: true }, evidence });
}
