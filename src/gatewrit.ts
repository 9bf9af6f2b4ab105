import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from './configuration.ts';
import { checkListeners, sessionStage } from './controls/authentication/index.ts';
import type { Transport } from './controls/transport/index.ts';
import { type Conversation, openConversation } from './conversation.ts';
import type { Call, Now } from './core/call.ts';
import { closeInReverse, type End } from './core/closing.ts';
import { type KeyFolder, keyFile } from './core/crypto/keys.ts';
import type { AnyStage } from './core/flow.ts';
import { InFlight } from './core/in-flight.ts';
import type { Log } from './core/log.ts';
import { openMemoryStore } from './core/store/memory.ts';
import { openSqliteStore } from './core/store/sqlite.ts';
import { type Controls, openControls } from './opened-controls.ts';
import { flowsOf, type Stages } from './pipeline.ts';
import { markOf, type Reloadable, Reloading } from './reloading.ts';
import { metadataDocuments, type ProtectedResources, type PublicUrls, protectedResources } from './resources.ts';
import { openServers, type RunningServers } from './running-servers.ts';
import { readSections, type Sections, weaknessesOf } from './sections.ts';
import { InProcessOperations } from './upstream/in-process.ts';
import { upstreamStage } from './upstream/servers.ts';
import { type Answered, Answering } from './workflows/answering.ts';
import { ListChanges } from './workflows/list-changes.ts';
import { resumable } from './workflows/resuming.ts';
import { sessionStages } from './workflows/sessions.ts';

export interface GatewritOptions {
  readonly configuration: Configuration;
  /** State folder (0700). */
  readonly home: string;
  readonly urls: PublicUrls;
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
  handle(call: Call): Promise<Answered>;
  /** Protected-resource metadata (RFC 9728) of each resource, by path of its document. */
  readonly metadata: ReadonlyMap<string, object>;
  readonly resources: ProtectedResources;
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
  /** Reads policy, manifests and keys of the log again now; what cannot be read stays as it was. @throws SettingsError */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const DRAIN_MS = 10_000;

/**
 * The composition root: reads settings, has the controls built and introduced to each other, puts their stages into
 * flows, closes everything in reverse.
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
  mkdirSync(home, { recursive: true, mode: 0o700 });

  const resources = protectedResources(urls, Object.keys(configuration.upstreams));
  const settings = readSections(options);
  // A public name on a loopback listener means a proxy before it: strangers all the same.
  const names = [urls.public, urls.admin].map((url) => new URL(url).hostname);
  const { listen } = configuration;
  checkListeners(settings.authentication, [listen.public.host, listen.admin.host, ...names]);
  const weak = weaknessesOf(settings, configuration);
  const keys: KeyFolder = { folder: join(home, 'keys'), generate: settings.authentication.development };

  const store =
    configuration.store.driver === 'memory'
      ? openMemoryStore()
      : openSqliteStore({ path: join(home, 'store', 'gatewrit.db') });
  closing.push(() => store.close());
  const inFlight = new InFlight();
  let failed = false;

  const changes = new ListChanges();
  const files = await policyAndManifests(home, settings, keys);
  const controls = await openControls(
    {
      configuration,
      settings,
      home,
      urls,
      resources,
      keys,
      store,
      inFlight,
      weak,
      onChange: (server) => changes.changed(server),
      onFatal(error) {
        failed = true;
        options.onFatal(error);
      },
      clock,
      log,
    },
    closing,
  );
  closing.push(() => changes.close());
  const { audit, authorization, redaction, registry } = controls;
  const reloading = new Reloading({
    reloadables: reloadablesOf(files, { controls, changes, clock, lookAtAll: () => watch.lookAtAll() }),
    record: (meta) => audit.record({ kind: 'settings', tenant: 'system', meta }),
    log,
  });
  // When the servers have been closed: a look at one that is silent must not hold up the end.
  closing.push(() => reloading.close());
  const { servers, watch } = openServers({ configuration, home, store, keys, registry, changes, clock, log }, closing);
  const conversation = openConversation({ controls, servers, changes, keys, node: listen.node, clock, log });
  const { streams } = conversation;

  const stages = stagesOf({ controls, conversation, servers, inFlight, clock });
  const { wrap = (stage: AnyStage) => stage } = options;
  const flows = flowsOf(stages, wrap);
  const outcome = wrap(audit.stages.outcome as unknown as AnyStage) as unknown as typeof audit.stages.outcome;
  const answering = new Answering({
    flows,
    ending: { reply: redaction.stages.reply, outcome },
    session: stages.authentication.session,
    limits: settings.validation,
    inFlight,
    resource: resources.mcp,
    clock,
    log,
  });
  closing.push(async () => {
    reloading.stop();
    answering.drain();
    streams.drain();
    const left = await inFlight.drain(DRAIN_MS);
    if (left > 0) log.warn('calls were still under way at the end', { count: left });
  });

  return {
    transport: controls.transport,
    handle: (call) => answering.handle(call),
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
      await reloading.reload();
    },
    close,
  };
}

/** What is read again when its files change, and how it looks before it is read. */
async function policyAndManifests(home: string, settings: Sections, keys: KeyFolder) {
  const { trust } = settings.registry;
  const trusted = trust.length > 0 ? trust : [keyFile(keys.folder, 'operator')];
  const policy = join(home, 'policy');
  const places = {
    policy: [policy],
    // Pins name scopes of the catalogue.
    manifests: [join(home, 'registry'), ...trusted, join(policy, 'scopes.yaml')],
  };
  return {
    policy: { what: 'policy', places: places.policy, mark: await markOf(places.policy) },
    manifests: { what: 'manifests', places: places.manifests, mark: await markOf(places.manifests) },
  };
}

function reloadablesOf(
  { policy, manifests }: Awaited<ReturnType<typeof policyAndManifests>>,
  parts: { controls: Controls; changes: ListChanges; clock: () => Now; lookAtAll: () => Promise<void> },
): readonly Reloadable[] {
  const { authorization, registry } = parts.controls;
  return [
    {
      ...policy,
      async reload() {
        await authorization.reload();
        // What somebody may see depends on policy too.
        for (const server of registry.servers()) parts.changes.changed(server);
        return { version: authorization.version };
      },
    },
    {
      ...manifests,
      async reload() {
        const problems = await registry.reload(parts.clock().utc);
        await parts.lookAtAll();
        const refused = problems.filter(({ code }) => code === 'manifest').map(({ server }) => server);
        return { version: registry.version, ...(refused.length > 0 ? { refused } : {}) };
      },
    },
  ];
}

/** Who does each step of the flows (`pipeline.ts`). */
function stagesOf(parts: {
  readonly controls: Controls;
  readonly conversation: Conversation;
  readonly servers: RunningServers['servers'];
  readonly inFlight: InFlight;
  readonly clock: () => Now;
}): Stages {
  const { controls, conversation, servers, inFlight, clock } = parts;
  const { approval, audit, authentication, authorization, limits, operations, registry, sessions } = controls;
  const { emit, questions, streams } = conversation;
  return {
    transport: controls.transport.stages,
    limits: limits.stages,
    authentication: {
      // Failures are counted around the stage, so that a source that has to wait is told so.
      principal: limits.failures.counted(authentication.stage),
      session: sessionStage(sessions),
    },
    validation: controls.validation.stages,
    registry: {
      resolve: registry.resolve,
      list: registry.lists((call, target) => authorization.mayKnow(call.principal, target)),
    },
    authorization: authorization.stages,
    redaction: controls.redaction.stages,
    approval: approval.stages,
    audit: audit.stages,
    upstream: upstreamStage(
      servers,
      new InProcessOperations(new Map(operations.map((operation) => [operation.name, operation]))),
      emit,
      questions,
      (call, id, ttlMs) => registry.sealTask(call, id, ttlMs, clock()),
    ),
    errors: controls.errors.stage,
    sessions: sessionStages({
      sessions,
      inFlight,
      onEnded(session, principal) {
        questions.sessionEnded(session);
        streams.sessionEnded(principal, session);
      },
      discover: ({ endpoint, principal }, now) =>
        registry.discover({ endpoint, principal, now, visible: (target) => authorization.mayKnow(principal, target) }),
    }),
    streams: { ...streams.stages, opened: resumable(streams.stages.opened) },
    answered: questions.answered,
  };
}
