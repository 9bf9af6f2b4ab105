import type { Decision, Now, Result, Target, TaskRef } from '../core/call.ts';
import { Refusal } from '../core/stage.ts';
import type { OpenStream, StreamCall, StreamPorts, Subscription } from './open-stream.ts';

/** What becomes of tasks, on the stream of the client that began them. Each state is judged anew, as if it were asked for. */
export interface TaskPorts {
  /** The task an id names for this caller here, with its pinned tool. */
  readonly taskAt: (
    call: StreamCall,
    id: string,
    now: Now,
  ) => { readonly target: Target; readonly task: TaskRef } | null;
  readonly decide: (call: StreamCall, target: Target, task: TaskRef, now: Now) => Decision | Refusal;
  /** Null: this server has no tasks. */
  readonly follow: (
    server: string,
    interest: Pick<StreamCall, 'principal' | 'client'> & { readonly tasks: readonly string[] },
    onTask: (id: string, state: Uint8Array) => void,
  ) => Promise<Subscription | null>;
  /** A state as this client may read it, under its own id and without diagnostics; null when it cannot be told. */
  readonly stateFor: (
    call: StreamCall,
    of: { target: Target; id: string; own: string },
    state: Uint8Array,
  ) => Result | null;
  /** Resolves when it is in the log what is told. @throws when it never will be */
  readonly record: (call: StreamCall, meta: Readonly<Record<string, unknown>>, state: Uint8Array) => Promise<unknown>;
}

interface Of {
  readonly call: StreamCall;
  /** Member `"_meta":{…}` of every message. */
  readonly meta: string;
  readonly ports: Pick<StreamPorts, 'judge' | 'clock' | 'log'> & { readonly tasks: TaskPorts };
}

/**
 * Begins to hear of these tasks. Resolves with those their server will tell of; an id that is not one of ours, or not
 * this caller's, is left out the same way as one whose tool he cannot see.
 */
export async function followTasks(ids: readonly string[], stream: OpenStream, of: Of): Promise<string[]> {
  const now = of.ports.clock();
  const byServer = new Map<string, Map<string, string[]>>();
  for (const id of ids) {
    const found = allowed(of, id, now);
    if (found === null) continue;
    const { server } = found.target;
    const own = byServer.get(server) ?? new Map<string, string[]>();
    byServer.set(server, own.set(found.task.id, [...(own.get(found.task.id) ?? []), id]));
  }
  const honoured = await Promise.all([...byServer].map(([server, tasks]) => followAt(server, tasks, stream, of)));
  const all = new Set(honoured.flat());
  return ids.filter((id) => all.has(id));
}

/** @param tasks ids of the client, by that of the upstream */
async function followAt(
  server: string,
  tasks: ReadonlyMap<string, readonly string[]>,
  stream: OpenStream,
  of: Of,
): Promise<string[]> {
  const { call, ports } = of;
  const heard = (own: string, state: Uint8Array) => {
    for (const id of tasks.get(own) ?? []) stream.later(() => void tell({ own, id, state }, stream, of));
  };
  const interest = { principal: call.principal, client: call.client, tasks: [...tasks.keys()] };
  const subscription = await ports.tasks.follow(server, interest, heard).catch((cause) => {
    ports.log.error('tasks of an upstream could not be followed', { server }, cause);
    return null;
  });
  if (subscription === null) return [];
  if (stream.over || subscription.honoured.length === 0) {
    subscription.end();
    return [];
  }
  stream.onEnd(() => subscription.end());
  return subscription.honoured.flatMap((own) => tasks.get(own) ?? []);
}

interface Told {
  /** Id of the upstream, and of the client. */
  readonly own: string;
  readonly id: string;
  readonly state: Uint8Array;
}

/** What is told is in the log first, as the answer to `tasks/get` would be. */
async function tell({ own, id, state }: Told, stream: OpenStream, of: Of): Promise<void> {
  const { call, meta, ports } = of;
  const { judge, clock, log } = ports;
  if (stream.over) return;
  const found = allowed(of, id, clock());
  if (found === null) return;
  const { target, decision } = found;
  const told = ports.tasks.stateFor(call, { target, id, own }, state);
  const cap = Math.min(target.limits.maxResultBytes, decision.obligations.maxResultBytes ?? Number.POSITIVE_INFINITY);
  if (told === null || told.bytes.length > cap) return;
  const members = Buffer.from(told.bytes).toString('utf8').trim().slice(1, -1);
  const message = Buffer.from(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{${meta},${members}}}`);
  const left = judge({ ...call, target, decision, scrubbed: told }, message, clock());
  if (typeof left === 'string') return left === 'authentication.expired' ? stream.end() : undefined;
  try {
    await ports.tasks.record(call, { event: 'task.told', call: call.id, target: target.key }, left);
  } catch (cause) {
    log.error('what becomes of a task could not be recorded, so it was not told', { call: call.id }, cause);
    return;
  }
  if (!stream.over) call.events?.(left);
}

function allowed({ call, ports }: Of, id: string, now: Now) {
  const found = ports.tasks.taskAt(call, id, now);
  if (found === null) return null;
  const decision = ports.tasks.decide(call, found.target, found.task, now);
  return decision instanceof Refusal ? null : { ...found, decision };
}
