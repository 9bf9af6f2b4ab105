import { CHANGING_LISTS, type ChangingList } from '../controls/registry/index.ts';
import { MODERN_REVISION, type Now, type Principal, type Reply } from '../core/call.ts';
import { declaresTasks } from '../core/mcp/tasks.ts';
import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';
import { OpenStream, type StreamCall, type StreamPorts } from './open-stream.ts';
import { SubscriptionBook } from './session-subscriptions.ts';
import { TAKEN } from './sessions.ts';
import { followTasks, type TaskPorts } from './stream-tasks.ts';

/** Everything a stream asks of others. */
export interface StreamsPorts extends StreamPorts {
  readonly tasks: TaskPorts;
}

export interface Streams {
  readonly stages: Stages['streams'];
  /** Forgets what a session wanted to hear of, which was ended by its client. */
  sessionEnded(principal: Principal, session: string): void;
  /** Ends every stream, as a server does that goes away, and opens no other. */
  drain(): void;
}

type ListenCall = Parameters<Stages['streams']['listen']['run']>[0];
type SubscribedCall = Parameters<Stages['streams']['subscribed']['run']>[0];

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
/** URIs one subscriptions/listen may name. */
const MAX_URIS = 64;
/** Characters of one of them, as anywhere else; a stream keeps them for as long as it lasts. */
const MAX_URI = 8_192;
const DONE: Reply['bytes'] = Buffer.from('{"resultType":"complete"}');

/** Streams that outlive a request (flow 3): what may be heard on them is judged event by event (flow 4). */
export function openStreams(ports: StreamsPorts): Streams {
  const open = new Set<OpenStream>();
  const book = new SubscriptionBook();
  let draining = false;

  /** Takes its place before anything is promised; gives it back when the stream ends. */
  const begin = (call: StreamCall, what: { lists: Iterable<ChangingList>; meta: string }): OpenStream | Refusal => {
    if (draining) return new Refusal('transport.draining', { retryAfterMs: 1_000 });
    const place = ports.hold(call);
    if (place instanceof Refusal) return place;
    const stream = new OpenStream(call, ports, what);
    open.add(stream);
    stream.onEnd(() => {
      open.delete(stream);
      place.release();
    });
    return stream;
  };

  /** What was opened is in the log before anything is heard. */
  const recorded = async (call: StreamCall, stream: OpenStream, meta: object): Promise<Refusal | null> => {
    try {
      await ports.record(call, { event: 'stream.opened', call: call.id, endpoint: call.endpoint.resource, ...meta });
      return null;
    } catch (cause) {
      stream.end();
      return new Refusal('audit.unavailable', { evidence: 'the opening of a stream could not be recorded', cause });
    }
  };

  const listen = (call: ListenCall): Refusal | Promise<Reply | Refusal> => {
    if (call.client.revision !== MODERN_REVISION) return new Refusal('validation.method');
    if (!call.events) return new Refusal('transport.not_acceptable');
    const asked = filterOf(call.message.params, call.client.capabilities);
    if (asked instanceof Refusal) return asked;
    const meta = `"_meta":{"${SUBSCRIPTION_ID}":${idOf(call)}}`;
    const stream = begin(call, { lists: asked.lists, meta });
    return stream instanceof Refusal ? stream : heard(call, stream, asked, meta);
  };

  const heard = async (call: ListenCall, stream: OpenStream, asked: Filter, meta: string): Promise<Reply | Refusal> => {
    const refused = await recorded(call, stream, {
      method: call.message.method,
      lists: asked.lists,
      resources: asked.resources.length,
      ...(asked.tasks.length > 0 ? { tasks: asked.tasks.length } : {}),
    });
    if (refused) return refused;
    const [resources, tasks] = await Promise.all([
      stream.subscribe(asked.resources),
      followTasks(asked.tasks, stream, { call, meta, ports }),
    ]);
    const honoured = Object.fromEntries([
      ...asked.lists.map((list) => [`${list}ListChanged`, true]),
      ...(resources.length > 0 ? [['resourceSubscriptions', resources]] : []),
      ...(tasks.length > 0 ? [['taskIds', tasks]] : []),
    ]);
    if (!call.signal.aborted) call.events?.(acknowledgement(meta, honoured));
    stream.acknowledged();
    // Nothing was asked for that can be heard: there is no reason to hold a stream.
    if (Object.keys(honoured).length === 0) stream.end();
    await stream.ended;
    return replyOf(Buffer.from(`{"resultType":"complete",${meta}}`));
  };

  const opened = (call: StreamCall, now: Now): Refusal | Promise<Reply | Refusal> => {
    const { session } = call.client;
    if (!session || call.client.revision === MODERN_REVISION) return new Refusal('transport.method');
    if (!call.events) return new Refusal('transport.not_acceptable');
    // Each message goes out on one stream (protocol.md 1.6): the newest, since an older one may be a dead connection.
    book.of(call.principal, session, now.utc)?.stream?.end();
    // Asked only now: with its stream, the book may have forgotten what it held of this session.
    const kept = book.of(call.principal, session, now.utc);
    if (!kept) return new Refusal('limits.overloaded', { evidence: 'too many sessions have streams' });
    const stream = begin(call, { lists: CHANGING_LISTS, meta: '' });
    if (stream instanceof Refusal) {
      book.tidy(call.principal, session);
      return stream;
    }
    kept.stream = stream;
    stream.onEnd(() => {
      if (kept.stream === stream) kept.stream = null;
      book.tidy(call.principal, session);
    });
    return (async () => {
      const refused = await recorded(call, stream, { method: 'GET', resources: kept.uris.size });
      if (refused) return refused;
      call.stream?.begin();
      stream.acknowledged();
      await stream.subscribe([...kept.uris]);
      await stream.ended;
      return TAKEN;
    })();
  };

  const subscribed = (call: SubscribedCall, now: Now): Reply | Refusal | Promise<Reply | Refusal> => {
    const { session, revision } = call.client;
    if (!session || revision === MODERN_REVISION) return new Refusal('validation.method');
    const kept = book.of(call.principal, session, now.utc);
    if (!kept) return new Refusal('limits.overloaded', { evidence: 'too many sessions subscribe' });
    const uri = call.message.name;
    if (call.message.method === 'resources/unsubscribe') {
      kept.uris.delete(uri);
      kept.stream?.unsubscribe(uri);
      book.tidy(call.principal, session);
      return replyOf(DONE);
    }
    const refused = ports.allows(call, call.target, uri, now);
    if (refused) {
      book.tidy(call.principal, session);
      return refused;
    }
    if (!book.add(kept, uri)) return new Refusal('limits.streams', { evidence: 'subscriptions of one session' });
    // Answered when the upstream has heard of it: a change after our answer is a change the client is told of.
    return kept.stream ? kept.stream.subscribe([uri]).then(() => replyOf(DONE)) : replyOf(DONE);
  };

  return {
    stages: {
      listen: { name: 'streams.listen', leaves: 'reply', run: listen },
      opened: { name: 'streams.opened', leaves: 'reply', run: opened },
      subscribed: { name: 'streams.subscribed', leaves: 'reply', run: subscribed },
    },
    sessionEnded: (principal, session) => book.forget(principal, session),
    drain() {
      draining = true;
      for (const stream of open) stream.end();
    },
  };
}

interface Filter {
  readonly lists: readonly ChangingList[];
  readonly resources: readonly string[];
  /** Ids of tasks. */
  readonly tasks: readonly string[];
}

/** What a client asks to hear of. Kinds we do not know are not honoured, which the acknowledgement shows. */
function filterOf(params: Readonly<Record<string, unknown>>, capabilities: unknown): Filter | Refusal {
  const wanted = params['notifications'];
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted))
    return new Refusal('validation.params', { text: 'params.notifications must be an object.' });
  const filter = wanted as Readonly<Record<string, unknown>>;
  const { resourceSubscriptions: resources = [] } = filter;
  if (!Array.isArray(resources) || resources.some((uri) => typeof uri !== 'string'))
    return new Refusal('validation.params', { text: 'resourceSubscriptions must be a list of URIs.' });
  if (resources.length > MAX_URIS)
    return new Refusal('validation.params', { text: `resourceSubscriptions may name ${MAX_URIS} URIs.` });
  if ((resources as string[]).some((uri) => uri.length > MAX_URI))
    return new Refusal('validation.params', { text: `A URI may have ${MAX_URI} characters.` });
  const { taskIds = [] } = filter;
  if (!Array.isArray(taskIds) || taskIds.some((id) => typeof id !== 'string') || taskIds.length > MAX_URIS)
    return new Refusal('validation.params', { text: `taskIds must be a list of at most ${MAX_URIS} ids.` });
  // Nobody is told of tasks who did not say that he knows what they are.
  const tasks = declaresTasks(capabilities) ? [...new Set<string>(taskIds)] : [];
  return { tasks, lists: CHANGING_LISTS.filter((list) => filter[`${list}ListChanged`] === true), resources };
}

/** The id of the listen request as the client wrote it. */
function idOf({ message }: ListenCall): string {
  const { id } = message.spans;
  return id === null ? 'null' : Buffer.from(message.bytes.subarray(id.start, id.end)).toString('utf8');
}

function acknowledgement(meta: string, honoured: object): Uint8Array {
  const params = `${meta},"notifications":${JSON.stringify(honoured)}`;
  return Buffer.from(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{${params}}}`);
}

function replyOf(bytes: Uint8Array): Reply {
  return { kind: 'result', bytes, findings: [], diagnostics: null, status: 200 };
}
