import { resolve } from 'node:path';
import { MODERN_REVISION, type Now, type Result, type SlotName } from '../core/call.ts';
import { InternalError } from '../core/internal-error.ts';
import type { Log } from '../core/log.ts';
import { declaresTasks } from '../core/mcp/tasks.ts';
import { type Answers, InputRequired } from '../core/questions.ts';
import { Refusal, type Stage } from '../core/stage.ts';
import type { Store } from '../core/store/store.ts';
import type { Credential } from './credential.ts';
import { HttpWire } from './http.ts';
import type { InProcessOperations } from './in-process.ts';
import type { ListName } from './message-kind.ts';
import type { UpstreamRequest } from './request.ts';
import { UpstreamServer, type WireEvents } from './server.ts';
import { SseWire } from './sse-wire.ts';
import { StdioProcess } from './stdio-runner.ts';
import type { TaskNames } from './tasks.ts';
import { NO_VERDICTS, storedVerdicts } from './verdict.ts';
import type { Carrier, Wire } from './wire.ts';

export interface StdioServerSettings {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}
export interface HttpServerSettings {
  readonly url: string;
  readonly ca: string | undefined;
  readonly authorization: string | undefined;
  /** In place of `authorization`: one for all connections to this server. */
  readonly credential?: Credential;
  readonly maxConnections: number;
  /** sse: HTTP+SSE of 2024-11-05 without asking for anything newer. */
  readonly transport?: 'auto' | 'sse';
}
export type ServerSettings = ({ readonly stdio: StdioServerSettings } | { readonly http: HttpServerSettings }) & {
  /** Extensions of MCP this server may hear of; none when absent. */
  readonly extensions?: readonly string[];
  /** How long a call of it waits for answers of a client, ms; five minutes when absent. */
  readonly answerMs?: number;
};

const MAX_LINE_BYTES = 16 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_MS = 300_000;
const MAX_PARKED = 64;

/** Makes the connection object of one registered server; nothing is started before the first need. */
export function openServer(
  name: string,
  settings: ServerSettings,
  options: {
    clock: () => Now;
    log: Log;
    onChanged: (list?: ListName) => void;
    onEnded: () => void;
    /** Remembers what was found out about it; null or absent: every start asks. */
    store?: Store;
  },
): UpstreamServer {
  const { clock, log } = options;
  return new UpstreamServer({
    name,
    clock,
    log,
    verdicts: options.store ? storedVerdicts(options.store, name, placeOf(settings)) : NO_VERDICTS,
    extensions: settings.extensions ?? [],
    answerMs: settings.answerMs ?? ANSWER_MS,
    // A call that waits holds its connection; half of them stay for calls that run.
    maxParked: 'http' in settings ? Math.ceil(settings.http.maxConnections / 2) : MAX_PARKED,
    onListChanged: options.onChanged,
    onEnded: options.onEnded,
    carrier: 'stdio' in settings ? 'stdio' : settings.http.transport === 'sse' ? 'sse' : 'http',
    dial: (told, carrier) =>
      'stdio' in settings ? dialProcess(settings.stdio, told) : dialHttp(settings.http, told, carrier),
  });

  function dialProcess({ command, args, cwd, env }: StdioServerSettings, told: WireEvents): StdioProcess {
    return new StdioProcess({
      command: command === 'node' ? process.execPath : command,
      args,
      cwd: resolve(cwd),
      env,
      maxLineBytes: MAX_LINE_BYTES,
      onDiagnostic: diagnostics(name, clock, log),
      onOther: told.heard,
      onExit: told.ended,
    });
  }
}

const placeOf = (settings: ServerSettings): readonly string[] =>
  'stdio' in settings ? [settings.stdio.command, ...settings.stdio.args] : [settings.http.url];

function dialHttp(settings: HttpServerSettings, told: WireEvents, carrier: Carrier): Wire {
  const { url, ca, authorization, credential, maxConnections } = settings;
  const options = {
    url,
    ...(ca ? { ca } : {}),
    ...(authorization ? { authorization } : {}),
    ...(credential ? { credential } : {}),
    maxConnections,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
  return carrier === 'sse'
    ? new SseWire({ ...options, maxMessageBytes: MAX_LINE_BYTES, onOther: told.heard, onEnd: told.ended })
    : Object.assign(new HttpWire(options), { connections: maxConnections });
}

/** A server that writes for ever must not fill the operator's log: one line of ours a second at most. */
const QUIET_MS = 1_000;

/** Free text of a server may hold values of calls: only that it wrote, and how often, reaches our log. */
function diagnostics(server: string, clock: () => Now, log: Log): () => void {
  let count = 0;
  let next = Number.NEGATIVE_INFINITY;
  return () => {
    count++;
    const { mono } = clock();
    if (mono < next) return;
    log.info('upstream wrote diagnostics', { server, count });
    count = 0;
    next = mono + QUIET_MS;
  };
}

type Needs = Extract<
  SlotName,
  | 'endpoint'
  | 'principal'
  | 'message'
  | 'client'
  | 'candidate'
  | 'target'
  | 'arguments'
  | 'round'
  | 'decision'
  | 'approval'
  | 'intent'
  | 'consumed'
>;
type Called = Parameters<Stage<Needs, 'result'>['run']>[0];
type Answered = Result | Refusal | InputRequired;

/** Takes questions of an upstream to the client, in the words of its era (workflows/questions.ts). */
export interface Asking {
  /** @param resume goes on with the call, at most once for each question */
  ask(
    call: Called,
    asked: InputRequired,
    resume: (answers: Answers) => Promise<Answered>,
  ): Result | Refusal | Promise<Result | Refusal>;
}

/**
 * Stage `upstream`: the call goes out, once. Admin operations run in this process; everything else at its server.
 * @param emit takes a notification of this call to the client, through the event flow
 * @param sealTask the id by which the client of this call asks for a task of it
 */
export function upstreamStage(
  servers: ReadonlyMap<string, UpstreamServer>,
  inProcess: InProcessOperations,
  emit: (call: Called, notification: Uint8Array) => void,
  asking: Asking,
  sealTask: (call: Called, id: string, ttlMs: number | null) => string,
): Stage<Needs, 'result'> {
  /** The id a client has brought is the one it goes on with. */
  const tasksOf = (call: Called): TaskNames => {
    const id = call.candidate.task?.id ?? null;
    return { id, name: (of, ttlMs) => (id === null ? sealTask(call, of, ttlMs) : call.message.name) };
  };
  return {
    name: 'upstream',
    leaves: 'result',
    run(call, now) {
      const { target } = call;
      if (target.kind === 'admin') return inProcess.run(call, now);
      const server = servers.get(target.server);
      if (!server)
        return new Refusal('upstream.unavailable', { evidence: `no upstream is configured for ${target.server}` });
      if (call.approval.use === 'replay')
        throw new InternalError('upstream.replay', 'a stored outcome must not reach the upstream');
      const cap = call.decision.obligations.maxResultBytes;
      const request: UpstreamRequest = {
        target,
        principal: call.principal,
        message: call.message,
        client: call.client,
        answers: call.round.answers,
        approved: call.approval.approved,
        tasks:
          call.client.revision === MODERN_REVISION && declaresTasks(call.client.capabilities) ? tasksOf(call) : null,
        maxResultBytes: cap === null ? target.limits.maxResultBytes : Math.min(cap, target.limits.maxResultBytes),
        signal: call.signal,
        onNotification: call.events ? (notification) => emit(call, notification) : null,
      };
      return server.call(request).then((answered) => {
        if (!(answered instanceof InputRequired)) return answered;
        let asked = answered;
        const left = asking.ask(call, answered, async (answers) => {
          const next = await server.call({ ...request, answers, asked: asked.questions });
          if (next instanceof InputRequired) asked = next;
          return next;
        });
        // What waits at a legacy server for answers that will not come is ended at once.
        call.unwanted = () => server.drop(asked.state, call.principal.key);
        return left;
      });
    },
  };
}
