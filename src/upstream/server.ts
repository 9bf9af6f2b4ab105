import type { Now, Result } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import { mirroredHeaders } from '../core/mcp/mcp-headers.ts';
import { patch } from '../core/mcp/patch.ts';
import type { InputRequired } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { dressResult, readAnswer } from './answer.ts';
import { Breaker } from './breaker.ts';
import { type Classified, isListChanged, textOf } from './message-kind.ts';
import { MODERN, outgoingMessage, progressTokenOf } from './outgoing.ts';
import type { LiveDefinitions, UpstreamRequest } from './request.ts';
import { legacyHeaders, listAll, openLegacy, probeModern, type Session } from './session.ts';
import { type Incoming, type Wire, WireFault } from './wire.ts';

export interface ServerOptions {
  readonly name: string;
  readonly carrier: 'http' | 'stdio';
  /** Makes a fresh wire: a process for stdio, a pool for HTTP. */
  readonly dial: (told: WireEvents) => Wire;
  readonly clock: () => Now;
  readonly log: Log;
  /** Told when the server says that a list of its changed: its definitions must be looked at again. */
  readonly onListChanged: () => void;
  /** Told when a session ended by itself: whoever answers next must be looked at again. */
  readonly onEnded: () => void;
}

/** What a wire reports by itself, without being asked. */
export interface WireEvents {
  ended(reason: string): void;
  listChanged(): void;
}

/** Largest notification passed on: progress and log lines are for people; a result has its own cap. */
const MAX_NOTIFICATION_BYTES = 64 * 1024;

/** A stale "legacy" never corrects itself, because an upgraded server still answers `initialize` (protocol.md 1.1). */
const VERDICT_LIFE_MS = 24 * 3600 * 1000;

/**
 * One registered server: finds out its era, keeps a session open, starts it again when it ends. One credential
 * identity: the gateway's own at this server. Calls are never sent twice.
 */
export class UpstreamServer {
  readonly name: string;
  readonly #options: ServerOptions;
  readonly #breaker = new Breaker({ failures: 5, pauseMs: 5_000 });
  #session: Session | null = null;
  #opening: Promise<Session | WireFault> | null = null;
  #legacySince = Number.NEGATIVE_INFINITY;
  #nextId = 1000;
  #closed = false;

  constructor(options: ServerOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async call(request: UpstreamRequest): Promise<Result | Refusal | InputRequired> {
    const wait = this.#breaker.waitMs(this.#options.clock().mono);
    if (wait > 0) return new Refusal('upstream.unavailable', { retryAfterMs: wait, evidence: 'the breaker is open' });
    const session = this.#session ?? (await this.#open());
    if (session instanceof WireFault) return this.#refused(session);
    const id = this.#nextId++;
    const bytes = outgoingMessage(request, id, session.era);
    const incoming = await session.wire.exchange({
      id,
      method: request.message.method,
      bytes,
      headers: session.era === 'modern' ? modernHeaders(request) : legacyHeaders(session),
      timeoutMs: request.target.limits.timeoutMs,
      maxBytes: request.maxResultBytes,
      signal: request.signal,
      onOther: (message, read) => this.#other(request, id, message, read),
    });
    const answer = incoming instanceof WireFault ? incoming : this.#judge(incoming, id, request, session);
    if (answer instanceof WireFault) return this.#refused(answer);
    this.#breaker.reached();
    return answer;
  }

  #judge(incoming: Incoming, id: number, request: UpstreamRequest, session: Session): Result | WireFault {
    if (incoming.status === 401 || incoming.status === 403)
      return new WireFault('unavailable', false, `HTTP ${incoming.status}: our credential was refused`);
    if (incoming.status === 404 && session.sessionId) {
      // The legacy session ended at the server; the call was refused there, the next one opens a new session. Others
      // may have heard the same already: then the session of now is a newer one and stays.
      if (this.#session === session) {
        this.#session = null;
        this.#options.onEnded();
      }
      return new WireFault('unavailable', false, 'the session ended at the server');
    }
    const answer = readAnswer(incoming, id);
    return answer instanceof WireFault ? answer : dressResult(answer, request.message.method, session.era);
  }

  #refused(fault: WireFault): Refusal {
    if (fault.code === 'unavailable') this.#breaker.unreached(this.#options.clock().mono);
    const text =
      fault.code === 'unavailable' && fault.sent
        ? { text: 'The tool server went away during the call; it may have run.' }
        : {};
    return new Refusal(`upstream.${fault.code}`, { evidence: `${this.name}: ${fault.evidence}`, ...text });
  }

  /** Notifications: progress goes back under the client's own token, log lines only where one stream is one call (HTTP). */
  #other(request: UpstreamRequest, id: number, message: Uint8Array, { kind, spans }: Classified): void {
    if (kind !== 'notification' || !spans) return;
    if (isListChanged(message, spans)) return this.#options.onListChanged();
    if (!request.onNotification || message.length > MAX_NOTIFICATION_BYTES) return;
    const method = textOf(message, spans.method!);
    if (method === '"notifications/progress"') {
      const token = spans.paramsMembers.get('progressToken');
      const original = progressTokenOf(request);
      if (!token || !original || textOf(message, token) !== String(id)) return;
      return request.onNotification(patch(message, [{ span: token, replacement: original }]));
    }
    if (method === '"notifications/message"' && this.#options.carrier === 'http') request.onNotification(message);
  }

  /** Opens a session once, however many ask. */
  #open(): Promise<Session | WireFault> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<Session | WireFault> {
    if (this.#closed) return new WireFault('unavailable', false, 'the gateway is shutting down');
    const { carrier, clock, log, name } = this.#options;
    let session: Session | WireFault;
    if (clock().utc - this.#legacySince < VERDICT_LIFE_MS) {
      session = await this.#legacy(this.#dial());
    } else {
      const wire = this.#dial();
      const probed = await probeModern(wire, carrier);
      if (probed === 'legacy') {
        // stdio: the probe may have upset the process, so legacy begins in a fresh one.
        if (carrier === 'stdio') await wire.close();
        session = await this.#legacy(carrier === 'stdio' ? this.#dial() : wire);
        if (!(session instanceof WireFault)) this.#legacySince = clock().utc;
      } else {
        session = probed;
        if (session instanceof WireFault) await wire.close();
      }
    }
    if (session instanceof WireFault) {
      log.warn('upstream cannot be opened', { server: name, reason: session.evidence });
      return session;
    }
    log.info('upstream open', { server: name, kind: session.era });
    this.#session = session;
    return session;
  }

  async #legacy(wire: Wire): Promise<Session | WireFault> {
    const session = await openLegacy(wire);
    if (session instanceof WireFault) await wire.close();
    return session;
  }

  #dial(): Wire {
    const wire: Wire = this.#options.dial({
      ended: (reason) => {
        if (this.#session?.wire !== wire) return;
        this.#session = null;
        if (this.#closed) return;
        this.#options.log.warn('upstream ended', { server: this.name, reason });
        this.#options.onEnded();
      },
      listChanged: () => {
        if (this.#session?.wire === wire) this.#options.onListChanged();
      },
    });
    return wire;
  }

  /**
   * What the server says of itself now.
   * @throws InternalError when it cannot be asked
   */
  async introspect(): Promise<LiveDefinitions | WireFault> {
    const session = this.#session ?? (await this.#open());
    if (session instanceof WireFault) return session;
    const has = (part: string) => session.capabilities[part] !== undefined;
    return {
      tools: has('tools') ? await listAll(session, 'tools/list', 'tools') : [],
      prompts: has('prompts') ? await listAll(session, 'prompts/list', 'prompts') : [],
      resources: has('resources') ? await listAll(session, 'resources/list', 'resources') : [],
      templates: has('resources') ? await listAll(session, 'resources/templates/list', 'resourceTemplates') : [],
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening;
    const session = this.#session;
    this.#session = null;
    await session?.wire.close();
  }
}

/** Mirrored from what is sent, never copied from what came (protocol.md 1.4). */
function modernHeaders(request: UpstreamRequest): string[] {
  return ['mcp-protocol-version', MODERN, ...mirroredHeaders(request)];
}
