import { isDeepStrictEqual } from 'node:util';
import type { Now, Result } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import type { InputRequired } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { Breaker } from './breaker.ts';
import { type Followed, follow, type Interest, type Listening, type TaskInterest } from './following.ts';
import { LegacyUpstream } from './legacy.ts';
import { type Classified, changedList, type ListName } from './message-kind.ts';
import { ModernUpstream } from './modern.ts';
import type { LiveDefinitions, UpstreamRequest } from './request.ts';
import { listAll, probeModern, type Session } from './session.ts';
import { VERDICT_LIFE_MS, type Verdict, type Verdicts } from './verdict.ts';
import { type Carrier, type Wire, WireFault } from './wire.ts';

export interface ServerOptions {
  readonly name: string;
  /** http: HTTP+SSE where the server turns out to know nothing newer. */
  readonly carrier: Carrier;
  /** Makes a fresh wire: a process for stdio, a pool for HTTP, a stream for HTTP+SSE. */
  readonly dial: (told: WireEvents, carrier: Carrier) => Wire;
  readonly clock: () => Now;
  readonly log: Log;
  readonly verdicts: Verdicts;
  /** Extensions of a client's capabilities that this server may hear of. */
  readonly extensions: readonly string[];
  /** How many calls may wait for answers of clients. */
  readonly maxParked: number;
  /** How long a call waits for answers of a client, ms. */
  readonly answerMs: number;
  /** Told when the server says that a list of its changed: its definitions must be looked at again. */
  readonly onListChanged: (list?: ListName) => void;
  /** Told when a session ended by itself: whoever answers next must be looked at again. */
  readonly onEnded: () => void;
}

/** What a wire reports by itself, without being asked. */
export interface WireEvents {
  ended(reason: string): void;
  /** A message that belongs to no exchange: a notification, or a request of the server. */
  heard(message: Uint8Array, read: Classified): void;
}

/** How a server of 2024-11-05 answers what it does not know. */
const SSE_STATUS: readonly number[] = [400, 404, 405];

type Speaker = ModernUpstream | LegacyUpstream;

/**
 * One registered server: finds out its era, speaks to it as it wants to be spoken to, starts it again when it ends. One
 * credential identity: the gateway's own at this server. A call that may have run is never sent twice.
 */
export class UpstreamServer {
  readonly name: string;
  readonly #options: ServerOptions;
  readonly #breaker = new Breaker({ failures: 5, pauseMs: 5_000 });
  readonly #nextId = () => this.#lastId++;
  #lastId = 1000;
  #speaker: Speaker | null = null;
  /** Of the era before: until the calls that run there have ended. */
  readonly #retiring = new Set<LegacyUpstream>();
  #opening: Promise<Speaker | WireFault> | null = null;
  /** The one wire of an HTTP server. */
  #pool: Wire | null = null;
  #verdict: Verdict | null = null;
  #closed = false;

  constructor(options: ServerOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async call(request: UpstreamRequest): Promise<Result | Refusal | InputRequired> {
    const wait = this.#breaker.waitMs(this.#options.clock().mono);
    if (wait > 0) return new Refusal('upstream.unavailable', { retryAfterMs: wait, evidence: 'the breaker is open' });
    const speaker = this.#speaker ?? (await this.#open());
    // Another server than the one the task was begun at: that one kept nothing of it.
    if (request.tasks?.id && !(speaker instanceof WireFault) && speaker.era === 'legacy')
      return new Refusal('upstream.state_lost', { evidence: `${this.name}: it has no tasks of this extension` });
    const answer = speaker instanceof WireFault ? speaker : await speaker.call(request);
    if (answer instanceof WireFault) return this.#refused(answer);
    this.#breaker.reached();
    return answer;
  }

  /** No answers will come for the call of this state. One that goes on meanwhile, or is somebody else's, is not touched. */
  drop(state: string | null, owner: string): void {
    if (state !== null && this.#speaker?.era === 'legacy') this.#speaker.drop(state, owner);
  }

  #refused(fault: WireFault): Refusal {
    if (fault.code === 'unavailable') this.#breaker.unreached(this.#options.clock().mono);
    const text =
      fault.code === 'unavailable' && fault.sent
        ? { text: 'The tool server went away during the call; it may have run.' }
        : {};
    return new Refusal(`upstream.${fault.code}`, { evidence: `${this.name}: ${fault.evidence}`, ...text });
  }

  /** Finds out once how to speak, however many ask. */
  #open(): Promise<Speaker | WireFault> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<Speaker | WireFault> {
    if (this.#closed) return new WireFault('unavailable', false, 'the gateway is shutting down');
    const { log, name } = this.#options;
    const speaker = await this.#findOut();
    if (speaker instanceof WireFault) {
      await this.#hangUp();
      log.warn('upstream cannot be opened', { server: name, reason: speaker.evidence });
      return speaker;
    }
    log.info('upstream open', { server: name, kind: speaker.era });
    this.#speaker = speaker;
    return speaker;
  }

  async #findOut(): Promise<Speaker | WireFault> {
    const { carrier } = this.#options;
    const known = await this.#knownLegacy();
    if (known) {
      const legacy = await this.#begin(known.carrier);
      if (!(legacy instanceof WireFault)) return legacy;
      // Down, or not legacy any more; whoever answers next is asked.
      await this.#decide(null);
    }
    if (carrier !== 'sse') {
      const wire = this.#wire(carrier);
      const probed = await probeModern(wire, carrier);
      // stdio: the probe may have upset the process, so legacy begins in a fresh one.
      if (carrier === 'stdio' && (probed === 'legacy' || probed instanceof WireFault)) await wire.close();
      if (probed !== 'legacy') return probed instanceof WireFault ? probed : this.#modern(probed);
    }
    const legacy = await this.#begin(carrier);
    // The specification's way back to 2024-11-05: what refuses `initialize` may have a stream to be opened first.
    const older = carrier === 'http' && legacy instanceof WireFault && SSE_STATUS.includes(legacy.status);
    const found = older ? await this.#begin('sse') : legacy;
    if (found instanceof WireFault) return legacy;
    await this.#decide({ carrier: found.carrier, at: this.#options.clock().utc });
    return found;
  }

  async #knownLegacy(): Promise<Verdict | null> {
    const { clock, verdicts } = this.#options;
    const verdict = this.#verdict ?? (await verdicts.read(clock()).catch((cause) => this.#unremembered(cause)));
    if (verdict === null || clock().utc - verdict.at >= VERDICT_LIFE_MS) return null;
    this.#verdict = verdict;
    return verdict;
  }

  async #decide(verdict: Verdict | null): Promise<void> {
    this.#verdict = verdict;
    const { clock, verdicts } = this.#options;
    await verdicts.write(verdict, clock()).catch((cause) => this.#unremembered(cause));
  }

  /** It only saves a question at the next start: a store that is down must not keep a server from being reached. */
  #unremembered(cause: unknown): null {
    this.#options.log.error('what was found out about an upstream is not remembered', { server: this.name }, cause);
    return null;
  }

  async #begin(carrier: Carrier): Promise<LegacyUpstream | WireFault> {
    const legacy = this.#legacy(carrier);
    const own = await legacy.own();
    if (!(own instanceof WireFault)) return legacy;
    await legacy.close();
    return own;
  }

  #modern(session: Session): ModernUpstream {
    const { extensions, onListChanged, clock } = this.#options;
    return new ModernUpstream({
      session,
      extensions,
      nextId: this.#nextId,
      mono: () => clock().mono,
      onListChanged,
      isAsPinned: async ({ target }) => {
        const tools = await listAll(session, 'tools/list', 'tools', this.#nextId).catch(() => []);
        const live = tools.find(({ name }) => name === target.name);
        return live !== undefined && isDeepStrictEqual(live['inputSchema'], target.definition['inputSchema']);
      },
    });
  }

  #legacy(carrier: Carrier): LegacyUpstream {
    const { extensions, answerMs, maxParked, clock, onEnded, onListChanged } = this.#options;
    return new LegacyUpstream({
      dial: () => this.#wire(carrier),
      carrier,
      extensions,
      answerMs,
      maxParked,
      nextId: this.#nextId,
      mono: () => clock().mono,
      onListChanged,
      onEnded,
    });
  }

  #wire(carrier: Carrier): Wire {
    if (carrier !== 'http') return this.#dial(carrier);
    this.#pool ??= this.#dial(carrier);
    return this.#pool;
  }

  async #hangUp(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    await pool?.close();
  }

  #dial(carrier: Carrier): Wire {
    const told: WireEvents = {
      ended: (reason) => this.#ended(wire, reason),
      heard: (message, read) => this.#heard(wire, message, read),
    };
    const wire: Wire = this.#options.dial(told, carrier);
    return wire;
  }

  #heard(wire: Wire, message: Uint8Array, read: Classified): void {
    if (this.#speaker?.era === 'legacy') return this.#speaker.sessions.byWire(wire)?.heard(message, read);
    const list = changedList(message, read);
    if (list !== null) this.#options.onListChanged(list);
  }

  #ended(wire: Wire, reason: string): void {
    const speaker = this.#speaker;
    if (speaker === null || this.#closed) return;
    if (speaker.era === 'modern') {
      if (speaker.session.wire !== wire) return;
      this.#speaker = null;
      speaker.over();
    } else {
      const session = speaker.sessions.byWire(wire);
      if (!session || !speaker.sessions.lost(session) || session.owner !== '') return;
    }
    this.#options.log.warn('upstream ended', { server: this.name, reason });
    this.#options.onEnded();
  }

  /**
   * Follows updates of resources for one principal until it says so, over restarts of the server. Resolves when the
   * server has said which of them it tells of; with none when it cannot.
   * @param onEvent takes `notifications/resources/updated` of a resource that was asked for
   */
  subscribe(interest: Interest, onEvent: (notification: Uint8Array) => void): Promise<Followed> {
    if (interest.resources.length === 0) return Promise.resolve({ honoured: [], end: () => {} });
    const open = async (): Promise<Listening | WireFault> => {
      const speaker = this.#speaker ?? (await this.#open());
      return speaker instanceof WireFault
        ? speaker
        : (signal, onHonoured) => speaker.follow(interest, signal, onHonoured, onEvent);
    };
    return follow(open, () => this.#options.clock().mono);
  }

  /**
   * The same for tasks, which only a modern server has.
   * @param onTask takes the state of a task that was asked for: the params of `notifications/tasks`, as they came
   */
  followTasks(interest: TaskInterest, onTask: (id: string, state: Uint8Array) => void): Promise<Followed> {
    const open = async (): Promise<Listening | WireFault> => {
      const speaker = this.#speaker ?? (await this.#open());
      if (speaker instanceof WireFault) return speaker;
      return speaker.era === 'legacy'
        ? async () => false
        : (signal, onHonoured) => speaker.followTasks(interest, signal, onHonoured, onTask);
    };
    return follow(open, () => this.#options.clock().mono);
  }

  /**
   * What the server says of itself now.
   * @throws InternalError when it cannot be asked
   */
  async introspect(): Promise<LiveDefinitions | WireFault> {
    await this.#doubtOldVerdict();
    const speaker = this.#speaker ?? (await this.#open());
    if (speaker instanceof WireFault) return speaker;
    const session = speaker.era === 'modern' ? speaker.session : await speaker.own();
    if (session instanceof WireFault) return session;
    const list = (part: string, method: string, member: string) =>
      session.capabilities[part] === undefined ? [] : listAll(session, method, member, this.#nextId);
    return {
      // By an extension a legacy server would mean another than we relay.
      capabilities:
        speaker.era === 'modern' ? session.capabilities : { ...session.capabilities, extensions: undefined },
      tools: await list('tools', 'tools/list', 'tools'),
      prompts: await list('prompts', 'prompts/list', 'prompts'),
      resources: await list('resources', 'resources/list', 'resources'),
      templates: await list('resources', 'resources/templates/list', 'resourceTemplates'),
    };
  }

  /** A legacy server may have been upgraded since it was asked; calls that run end as they began. */
  async #doubtOldVerdict(): Promise<void> {
    const { carrier, clock } = this.#options;
    const legacy = this.#speaker;
    if (legacy?.era !== 'legacy' || carrier === 'sse') return;
    if (this.#verdict && clock().utc - this.#verdict.at < VERDICT_LIFE_MS) return;
    const wire = this.#wire(carrier);
    const probed = await probeModern(wire, carrier);
    if (probed === 'legacy') await this.#decide({ carrier: legacy.carrier, at: clock().utc });
    if (probed === 'legacy' || probed instanceof WireFault) return carrier === 'stdio' ? wire.close() : undefined;
    this.#speaker = this.#modern(probed);
    await this.#decide(null);
    this.#retiring.add(legacy);
    void legacy.retire().finally(() => this.#retiring.delete(legacy));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening;
    const speaker = this.#speaker;
    this.#speaker = null;
    await Promise.all([speaker, ...this.#retiring].map((one) => one?.close()));
    await this.#hangUp();
  }
}
