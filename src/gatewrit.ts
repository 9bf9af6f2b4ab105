import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from './configuration.ts';
import { openUpstreamCredential } from './configured-oauth.ts';
import { endpointsOf, serverSettings } from './configured-servers.ts';
import { openApproval } from './controls/approval/index.ts';
import { openAudit } from './controls/audit/index.ts';
import {
  type AuthenticationSettings,
  checkListeners,
  metadataPaths,
  openAuthentication,
  openSessions,
  resourceMetadata,
  sessionStage,
} from './controls/authentication/index.ts';
import { openAuthorization } from './controls/authorization/index.ts';
import { openErrors } from './controls/errors/index.ts';
import { openLimits } from './controls/limits/index.ts';
import { openRedaction } from './controls/redaction/index.ts';
import { type ChangingList, openRegistry } from './controls/registry/index.ts';
import { openTransport, type Transport } from './controls/transport/index.ts';
import { openValidation } from './controls/validation/index.ts';
import type { Call, Now, Principal, Target } from './core/call.ts';
import { closeInReverse, type End } from './core/closing.ts';
import { type KeyFolder, openSymmetricKeys } from './core/crypto/keys.ts';
import { type AnyStage, runStages } from './core/flow.ts';
import { InFlight } from './core/in-flight.ts';
import type { Log } from './core/log.ts';
import { challengeFor } from './core/mcp/challenge.ts';
import { encodeRefusal, encodeReply, type WireAnswer } from './core/mcp/wire.ts';
import { Refusal } from './core/stage.ts';
import { openEphemeralMemory } from './core/store/ephemeral-memory.ts';
import { openMemoryStore } from './core/store/memory.ts';
import { openSqliteStore } from './core/store/sqlite.ts';
import { type EventJudges, eventFlow, flowsOf, type Stages } from './pipeline.ts';
import { readSections, weaknessesOf } from './sections.ts';
import { InProcessOperations } from './upstream/in-process.ts';
import type { UpstreamServer } from './upstream/server.ts';
import { openServer, upstreamStage } from './upstream/servers.ts';
import { stateFor } from './upstream/told-tasks.ts';
import { type BatchPorts, runBatch } from './workflows/batch.ts';
import { endCall } from './workflows/ending.ts';
import { credentialAlive, eventEmitter, judged, targetVisible } from './workflows/events.ts';
import { ListChanges } from './workflows/list-changes.ts';
import { openQuestions } from './workflows/questions.ts';
import { resumable } from './workflows/resuming.ts';
import { sessionStages } from './workflows/sessions.ts';
import { openStreams } from './workflows/streams.ts';
import { ServerWatch } from './workflows/watch.ts';

export interface GatewritOptions {
  readonly configuration: Configuration;
  /** State folder (0700). */
  readonly home: string;
  /** Public base URLs of the two listeners, without a final slash, e.g. `https://localhost:8443`. */
  readonly urls: { readonly public: string; readonly admin: string };
  /** The embedded issuer, in development only. */
  readonly development: { readonly issuer: string } | null;
  readonly clock: () => Now;
  readonly log: Log;
  /** The audit log cannot go on: the process must end (audit.md 3.3). */
  readonly onFatal: (error: Error) => void;
  /** Only for `npm run bench`: puts a stop watch around each stage. It must answer as the stage would. */
  readonly wrap?: (stage: AnyStage) => AnyStage;
}

export interface Gatewrit {
  readonly transport: Transport;
  /** Takes a call through its flow to its end. Never rejects. */
  handle(call: Call): Promise<{ readonly answer: WireAnswer; readonly challenge: string }>;
  /** Protected-resource metadata (RFC 9728) of each resource, by path of its document. */
  readonly metadata: ReadonlyMap<string, object>;
  readonly resources: { readonly mcp: string; readonly servers: ReadonlyMap<string, string>; readonly admin: string };
  /** Scopes of the catalogue. */
  readonly scopes: readonly string[];
  /** What is relaxed, in words. */
  readonly weak: readonly string[];
  /** What is withheld and why, for people. */
  readonly quarantined: () => readonly { server: string; name: string | null; text: string }[];
  /** Whether calls can be served now: the log is writable. */
  readonly healthy: () => boolean;
  /** Ends streams that would not end by themselves: nothing else keeps their connections open at the end. */
  endStreams(): void;
  /** Compares all servers with their pins now. */
  lookAtServers(): Promise<void>;
  /** Reads policy and manifests again; the old stay on error. @throws SettingsError */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const NO_MESSAGE = new Uint8Array(0);
const DRAIN_MS = 10_000;
const SWEEP_MS = 30_000;

/**
 * The composition root: reads settings, builds and checks the controls, introduces them to each other, closes them in
 * reverse. This is the only place that knows more than one control by name.
 * @throws SettingsError, InternalError with a sentence for the operator; whatever was open by then is closed again
 */
export async function openGatewrit(options: GatewritOptions): Promise<Gatewrit> {
  const closing: End[] = [];
  const close = () => closeInReverse(closing);
  try {
    return await compose(options, closing, close);
  } catch (cause) {
    // Why it could not be opened tells more than what could not be closed after that.
    await close().catch(() => undefined);
    throw cause;
  }
}

async function compose(options: GatewritOptions, closing: End[], close: () => Promise<void>): Promise<Gatewrit> {
  const { configuration, home, clock, log, urls } = options;
  const { listen } = configuration;
  mkdirSync(home, { recursive: true, mode: 0o700 });

  const resources = {
    mcp: `${urls.public}/mcp`,
    servers: new Map(Object.keys(configuration.upstreams).map((name) => [name, `${urls.public}/mcp/${name}`])),
    admin: `${urls.admin}/api`,
  };
  const settings = readSections(options);
  // A public name on a loopback listener means a proxy before it: strangers all the same.
  const names = [urls.public, urls.admin].map((url) => new URL(url).hostname);
  checkListeners(settings.authentication, [listen.public.host, listen.admin.host, ...names]);
  const weak = weaknessesOf(settings, configuration);
  const keys: KeyFolder = { folder: join(home, 'keys'), generate: settings.authentication.development };

  const store =
    configuration.store.driver === 'memory'
      ? openMemoryStore()
      : openSqliteStore({ path: join(home, 'store', 'gatewrit.db') });
  closing.push(() => store.close());
  const ephemeral = openEphemeralMemory();
  const inFlight = new InFlight();
  let failed = false;

  const audit = await openAudit({
    settings: settings.audit,
    home,
    keys,
    store,
    deployment: listen.deployment,
    replica: `${listen.node}-0`,
    onFatal: (error) => {
      failed = true;
      options.onFatal(error);
    },
    weak: () => weak,
    onKeyFault: (cause) => log.error('changed keys of the audit log were not taken over; the old ones stay', {}, cause),
    clock,
    log,
  });
  closing.push(() => audit.close());

  const hosts = { public: [new URL(urls.public).host], admin: [new URL(urls.admin).host] };
  const transport = openTransport({
    settings: settings.transport,
    home,
    resources: {
      resource: (listener, server) =>
        listener === 'admin'
          ? resources.admin
          : server === null
            ? resources.mcp
            : (resources.servers.get(server) ?? null),
      hosts: (listener) => hosts[listener],
    },
  });

  const limits = openLimits({
    settings: settings.limits,
    ephemeral,
    facts: { verified: (call) => authentication.verified(call), inFlight: () => inFlight.size },
  });
  closing.push(() => limits.close());
  const authentication = await openAuthentication({
    settings: settings.authentication,
    home,
    failures: { failed() {} },
  });
  closing.push(() => authentication.close());
  const { hours, ...remembered } = settings.authentication.sessions;
  const sessions = openSessions({
    seal: openSymmetricKeys(keys, 'state-seal'),
    lifeMs: hours * 3_600_000,
    ...remembered,
  });

  const validation = openValidation({
    settings: settings.validation,
    keys: openSymmetricKeys(keys, 'state-seal'),
    ephemeral,
    since: clock().utc,
  });

  const authorization = await openAuthorization({
    settings: settings.authorization,
    folder: join(home, 'policy'),
    now: clock,
    report: (fault) => log.error('policy could not be evaluated', { code: fault.code }, fault),
  });
  closing.push(() => authorization.close());

  const approval = openApproval({
    settings: settings.approval,
    store,
    vault: audit.vault,
    records: {
      record: ({ kind, meta, ...whose }) =>
        audit.record({ kind: 'approval', ...whose, approval: String(meta['id']), meta: { event: kind, ...meta } }),
    },
    mac: openSymmetricKeys(keys, 'approval-mac'),
  });
  const sweep = setInterval(
    () => void approval.sweep(clock()).catch((cause) => log.error('expired approvals could not be swept', {}, cause)),
    SWEEP_MS,
  );
  sweep.unref();
  closing.push(async () => {
    clearInterval(sweep);
    await approval.close();
  });

  const operations = Object.entries({ ...approval.operations, ...audit.operations }).map(([name, operation]) => ({
    name,
    ...operation,
  }));
  const changes = new ListChanges();
  closing.push(async () => changes.close());
  const registry = await openRegistry({
    settings: settings.registry,
    home,
    keys,
    seal: openSymmetricKeys(keys, 'state-seal'),
    schemas: validation.schemas,
    scopes: { accepts: (scopes) => authorization.catalogue.accepts(scopes) },
    admin: operations,
    endpoints: endpointsOf(configuration),
    records: {
      record: (event) =>
        log[event.event === 'observed' || event.event === 'recovered' ? 'info' : 'warn'](`registry: ${event.text}`, {
          kind: event.event,
          server: event.server,
          target: event.target,
          code: event.code,
        }),
    },
    info: { name: 'gatewrit', version: '0.1.0' },
    listChanged: true,
    onChange: (server) => changes.changed(server),
    now: clock().utc,
  });

  const redaction = openRedaction({
    settings: settings.redaction,
    keys: openSymmetricKeys(keys, 'redaction-token'),
  });
  const errors = openErrors({ settings: settings.errors });

  const servers = new Map<string, UpstreamServer>();
  const watch = new ServerWatch({ servers, registry, clock, log, onLooked: (server) => changes.looked(server) });
  closing.push(async () => {
    watch.stop();
    await Promise.all([...servers.values()].map((server) => server.close()));
  });
  for (const [name, upstream] of Object.entries(configuration.upstreams)) {
    // Until it has been compared again, nothing of a server that says it changed or went away is served.
    const signIn = openUpstreamCredential(name, upstream, {
      store,
      keys,
      clock,
      log,
      person: null,
      path: configuration.path,
    });
    if (signIn) closing.push(() => signIn.close());
    const again = () => watch.lost(name);
    const onChanged = (list?: ChangingList) => {
      changes.noticed(name, list);
      again();
    };
    servers.set(
      name,
      openServer(name, serverSettings(upstream, configuration, home, signIn?.credential), {
        clock,
        log,
        onChanged,
        onEnded: again,
        store,
      }),
    );
  }

  const visible = (principal: Principal, target: Target) => authorization.visible(principal, target) !== 'hidden';
  const judging: EventJudges = {
    credentialAlive,
    targetVisible: targetVisible(
      (call, now) => registry.serves(call.target, now) && visible(call.principal, call.target),
    ),
    budget: limits.event,
    redaction: (call, bytes) => {
      const judged = redaction.event(bytes, {
        tenant: call.principal?.tenant ?? 'system',
        profile: call.decision?.obligations.redaction ?? null,
        task: call.scrubbed?.task === true,
      });
      return 'pass' in judged ? judged.pass : judged.drop;
    },
  };
  const judges = eventFlow(judging);
  const emit = eventEmitter(judges, clock, log);
  const questions = openQuestions({
    seal: (call, state, grant, now) => validation.rounds.seal(call, state, grant, now),
    judge: (call, message, now) => judged(judges, call, message, now),
    standing(call, now) {
      const left = judged([judging.credentialAlive, judging.targetVisible], call, NO_MESSAGE, now);
      return typeof left === 'string' ? left : null;
    },
    over: ({ client: { session } }, now) => session === null || sessions.isOver(session, now.utc),
    allows: (call, answer) => redaction.answer(call, answer),
    hold: (call) => limits.hold('waiting', call.principal),
    record: ({ principal: { tenant, key } }, { meta, payload }) =>
      audit.record({ kind: 'operation', tenant, subject: key, meta, payload }),
    key: openSymmetricKeys(keys, 'state-seal')[0],
    node: listen.node,
    clock,
    log,
  });
  const visibleTo = (principal: Principal) => (target: Target) => visible(principal, target);
  const listJudges = eventFlow({ ...judging, targetVisible: (_call, notification) => notification });
  const streams = openStreams({
    changes,
    judge: (call, message, now) => judged(judges, call, message, now),
    judgeList: (call, message, now) => judged(listJudges, call, message, now),
    targetOf({ endpoint, principal }, uri, now) {
      const target = registry.resourceAt(endpoint, principal, uri, now);
      // Hearing of a resource is as much as reading it: every scope is needed, not only that it may be known of.
      return target && authorization.visible(principal, target) === 'allowed' ? target : null;
    },
    outline: ({ endpoint, principal }, server, now) =>
      registry.outline({ endpoint, principal, now, visible: visibleTo(principal) }, server),
    servers: () => registry.servers(),
    subscribe: async (server, interest, onEvent) => (await servers.get(server)?.subscribe(interest, onEvent)) ?? null,
    allows: ({ principal }, target) =>
      authorization.visible(principal, target) === 'allowed'
        ? null
        : new Refusal('authorization.insufficient_scope', { scopes: target.scopes }),
    hold: (call) => limits.hold('streams', call.principal),
    tasks: {
      taskAt({ endpoint, principal }, id, now) {
        const found = registry.taskAt(endpoint, principal, id, now);
        return found && visible(principal, found.target) ? found : null;
      },
      decide: ({ principal }, target, task, now) => authorization.decideTask(principal, target, task, now),
      follow: async (server, interest, onTask) => (await servers.get(server)?.followTasks(interest, onTask)) ?? null,
      stateFor(call, { target, id, own }, state) {
        const found = stateFor(call.client, { id: own, name: () => id }, state);
        return found && errors.task(found, target, call.id);
      },
      record: ({ principal: { tenant, key } }, meta, state) =>
        audit.record({ kind: 'operation', tenant, subject: key, meta, payload: state }),
    },
    record: ({ principal: { tenant, key } }, meta) => audit.record({ kind: 'operation', tenant, subject: key, meta }),
    clock,
    log,
  });

  const stages: Stages = {
    transport: transport.stages,
    limits: limits.stages,
    // Failures are counted around the stage, so that a source that has to wait is told so.
    authentication: {
      principal: limits.failures.counted(authentication.stage),
      session: sessionStage(sessions),
    },
    validation: validation.stages,
    registry: { resolve: registry.resolve, list: registry.lists((call, target) => visible(call.principal, target)) },
    authorization: authorization.stages,
    redaction: redaction.stages,
    approval: approval.stages,
    audit: audit.stages,
    upstream: upstreamStage(
      servers,
      new InProcessOperations(new Map(operations.map((operation) => [operation.name, operation]))),
      emit,
      questions,
      (call, id, ttlMs) => registry.sealTask(call, id, ttlMs, clock()),
    ),
    errors: errors.stage,
    sessions: sessionStages({
      sessions,
      inFlight,
      onEnded: (session) => questions.sessionEnded(session),
      discover: ({ endpoint, principal }, now) =>
        registry.discover({ endpoint, principal, now, visible: (target) => visible(principal, target) }),
    }),
    streams: { ...streams.stages, opened: resumable(streams.stages.opened) },
    answered: questions.answered,
  };
  const { wrap = (stage: AnyStage) => stage } = options;
  const flows = flowsOf(stages, wrap);
  const outcome = wrap(audit.stages.outcome as unknown as AnyStage) as unknown as typeof audit.stages.outcome;
  const ending = { reply: redaction.stages.reply, outcome };
  let draining = false;

  interface Answered {
    readonly answer: WireAnswer;
    readonly challenge: string;
  }
  const handle = (call: Call): Promise<Answered> => {
    const bodiless = flows.bodiless(call);
    return take(call, bodiless ?? flows.entry, bodiless === null);
  };
  const batches: BatchPorts = {
    session: stages.authentication.session,
    one: async (call) => (await take(call, flows.element, true)).answer,
    limits: settings.validation,
    clock,
  };

  /** @param more whether `beginning` ends where it is known what the message is */
  async function take(call: Call, beginning: readonly AnyStage[], more: boolean): Promise<Answered> {
    inFlight.enter(call);
    try {
      let ended = draining
        ? new Refusal('transport.draining', { retryAfterMs: 1000 })
        : runStages(beginning, call, clock);
      if (ended instanceof Promise) ended = await ended;
      if (more && ended === null) ended = runStages(flows.of(call.message!), call, clock);
      if (ended instanceof Promise) ended = await ended;
      if (ended instanceof Refusal && ended.code === 'validation.batch' && beginning === flows.entry) {
        const batch = runBatch(call, ended, batches);
        // Each of its messages has a record of its own.
        if (!(batch instanceof Refusal)) return { answer: await batch, challenge: '' };
        ended = batch;
      }
      const end = await endCall(call, ended, ending, clock);
      if ('reply' in end) return { answer: encodeReply(call, end.reply), challenge: '' };
      logRefusal(log, call, end.refusal);
      return {
        answer: encodeRefusal(call, end.refusal),
        challenge: challengeFor(end.refusal, call.endpoint?.resource ?? resources.mcp) ?? '',
      };
    } finally {
      inFlight.leave(call);
    }
  }

  closing.push(async () => {
    draining = true;
    streams.drain();
    const left = await inFlight.drain(DRAIN_MS);
    if (left > 0) log.warn('calls were still under way at the end', { count: left });
  });

  return {
    transport,
    handle,
    metadata: metadataDocuments(settings.authentication, resources),
    resources,
    scopes: [...authorization.catalogue.scopes.keys()],
    weak,
    quarantined: () => registry.quarantined(),
    healthy: () => !failed,
    endStreams() {
      streams.drain();
      // The rest of a stream somebody asked for: his to ask for again.
      for (const call of inFlight.calls()) if (call.head.method === 'GET') call.cancel();
    },
    lookAtServers: () => watch.start(settings.registry.observeEverySeconds),
    async reload() {
      await audit.takeOverKeys();
      await authorization.reload();
      await registry.reload(clock().utc);
      // What somebody may see depends on policy too.
      for (const server of registry.servers()) changes.changed(server);
      await watch.lookAtAll();
    },
    close,
  };
}

function metadataDocuments(
  settings: AuthenticationSettings,
  resources: { mcp: string; servers: ReadonlyMap<string, string>; admin: string },
) {
  const all = [resources.mcp, ...resources.servers.values(), resources.admin];
  const documents = new Map<string, object>();
  for (const [path, resource] of metadataPaths(all, resources.mcp))
    documents.set(path, resourceMetadata(settings, resource));
  return documents;
}

/** Refusals are ordinary; what was thrown inside is for the operator. Neither line holds a value of the call. */
function logRefusal(log: Log, call: Call, refusal: Refusal): void {
  const fields = {
    call: call.id,
    code: refusal.code,
    evidence: refusal.facts.evidence ?? null,
    target: call.target?.key ?? null,
  };
  if (refusal.facts.cause !== undefined) log.error('call failed inside', fields, refusal.facts.cause);
  else log.info('call refused', fields);
}
