import type { Endpoint, Now, Principal, Target } from '../../core/call.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { declaresTasks } from '../../core/mcp/tasks.ts';
import type { Refusal, Stage } from '../../core/stage.ts';
import { type AdminOperation, type AdminPin, pinAdmin } from './admin.ts';
import { Cursors } from './cursor.ts';
import { compareLive, type Drift, type LiveDefinitions, sameDrifts } from './drift.ts';
import { driftEvents, problemEvents, type Records, type RegistryEvent } from './events.ts';
import {
  type ChangingList,
  discovery,
  isUsable,
  type ListMethod,
  type ListOptions,
  type ListRequest,
  listPage,
  type Offers,
  outline,
} from './lists.ts';
import { type Loaded, type LoadOptions, loadManifests, pinId } from './load.ts';
import type { Problem } from './pins.ts';
import { drifted, type Quarantined, refused, unobserved } from './quarantine.ts';
import type { RegistrySettings } from './settings.ts';
import { buildSnapshot, type Snapshot } from './snapshot.ts';
import { type FoundTask, listStage, resolveStage, resourceAt, taskAt, type VisibleTo, viewAt } from './stages.ts';
import { type BeganTask, TaskIds } from './task-ids.ts';

export interface RegistryOptions extends LoadOptions {
  readonly settings: RegistrySettings;
  /** Keys of class `state-seal`, for cursors and ids of tasks. */
  readonly seal: KeyPairOf<SymmetricKey>;
  readonly admin?: readonly AdminOperation[];
  readonly records?: Records;
  readonly info?: ListOptions['info'];
  /** Whether `subscriptions/listen` is honoured, so that `listChanged` and `subscribe` may be promised. */
  readonly listChanged?: boolean;
  /** Told when what is listed of a server may have changed. MUST NOT throw. */
  readonly onChange?: (server: string) => void;
  /** ms UTC; manifests that have expired by then are refused. */
  readonly now: number;
}

export interface Registry {
  /** Leaves the pinned target, or null. */
  readonly resolve: Stage<'endpoint' | 'message' | 'principal', 'candidate'>;
  /** The stage of the list flow. */
  lists(visible: VisibleTo): Stage<'endpoint' | 'message' | 'principal', 'scrubbed'>;
  /** One page of a list as JSON text of `result`, or `validation.cursor`. */
  list(method: ListMethod, request: ListRequest & { cursor: unknown }): string | Refusal;
  /** JSON text of the result of `server/discover`. */
  discover(request: ListRequest): string;
  /**
   * Compares what a live server offers with its pins and quarantines what differs until it matches again. Call it at
   * connection, at every change notice, and every `observeEverySeconds`. Returns all differences of this observation.
   */
  observe(server: string, live: LiveDefinitions): Drift[];
  /** The server is gone or says it changed: until it is observed again its pins are withheld. */
  forget(server: string): void;
  /** Whether exactly this target is still served: for events on streams that outlive a change. */
  serves(target: Target, now: Now): boolean;
  /** The pinned resource or template that serves a URI at this endpoint, or null. The caller judges whether it is visible. */
  resourceAt(endpoint: Endpoint, principal: Principal, uri: string, now: Now): Target | null;
  /** The id by which the client of this call asks for a task of it. @param ttlMs how long the upstream keeps it */
  sealTask(call: BeganTask, id: string, ttlMs: number | null, now: Now): string;
  /** The task that an id of ours names for this caller here, with its pinned tool, or null. As `resourceAt`. */
  taskAt(endpoint: Endpoint, principal: Principal, id: string, now: Now): FoundTask | null;
  /** What this caller's lists say of one server, as a digest by list (lists.ts). */
  outline(request: ListRequest, server: string): ReadonlyMap<ChangingList, string>;
  /** Servers of which something is, or could be, listed. */
  servers(): readonly string[];
  /** What is not served and why. */
  quarantined(): Quarantined[];
  /** Everything wrong with manifests as they were read. */
  problems(): readonly Problem[];
  /** Changes whenever a list may have changed. */
  readonly version: string;
  /**
   * Reads manifests and trust store again (load.ts says what becomes of a manifest that is refused now).
   * @throws SettingsError when the trust store cannot be opened; then everything stays
   */
  reload(now: number): Promise<readonly Problem[]>;
}

/**
 * Opens the registry from signed manifests. A manifest or item with a fault is not served and reported; the rest is.
 * @throws SettingsError when the trust store cannot be opened
 */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const admin = pinAdmin(options.admin ?? []);
  const registry = new PinnedRegistry(options, admin, await loadManifests(options, options.now));
  return registry;
}

class PinnedRegistry implements Registry {
  readonly resolve: Registry['resolve'];
  readonly #options: RegistryOptions;
  readonly #admin: readonly AdminPin[];
  readonly #cursors: Cursors;
  readonly #tasks: TaskIds;
  readonly #lists: ListOptions;
  /** By server: the differences of the last observation. No entry: not observed. */
  readonly #observed = new Map<string, { readonly drifts: readonly Drift[]; readonly offers: Offers }>();
  /** Servers that have been compared with the manifest they have now; what they say afterwards does not make them strangers. */
  readonly #seen = new Set<string>();
  #loaded: Loaded;
  #snapshot: Snapshot;

  constructor(options: RegistryOptions, admin: readonly AdminPin[], loaded: Loaded) {
    this.#options = options;
    this.#admin = admin;
    this.#cursors = new Cursors(options.seal);
    this.#tasks = new TaskIds(options.seal);
    this.#lists = {
      pageSize: options.settings.pageSize,
      ttlMs: options.settings.listTtlSeconds * 1000,
      info: options.info ?? { name: 'gatewrit', version: '0' },
      listChanged: options.listChanged ?? false,
    };
    this.#loaded = loaded;
    this.#snapshot = this.#build();
    this.resolve = resolveStage(() => this.#snapshot, this.#tasks);
    this.#tell(problemEvents(loaded.problems));
  }

  get version(): string {
    return this.#snapshot.version;
  }

  lists(visible: VisibleTo): ReturnType<Registry['lists']> {
    return listStage(this, visible);
  }

  list(method: ListMethod, request: ListRequest & { cursor: unknown }): string | Refusal {
    return listPage(
      method,
      viewAt(this.#snapshot, request.endpoint, request.principal),
      request,
      this.#cursors,
      this.#lists,
    );
  }

  discover(request: ListRequest): string {
    const { server } = request.endpoint;
    const instructions = server === null ? this.#options.settings.instructions : this.#instructionsOf(request);
    return discovery(viewAt(this.#snapshot, request.endpoint, request.principal), request, {
      ...this.#lists,
      instructions,
      offersOf: (name) => this.#observed.get(name)?.offers ?? null,
    });
  }

  resourceAt(endpoint: Endpoint, principal: Principal, uri: string, now: Now): Target | null {
    const view = viewAt(this.#snapshot, endpoint, principal);
    const served = view && resourceAt(view, uri);
    return served && served.expiresAt > now.utc ? served.candidate.target : null;
  }

  sealTask(call: BeganTask, id: string, ttlMs: number | null, now: Now): string {
    return this.#tasks.seal(call, id, ttlMs, now.utc);
  }

  taskAt(endpoint: Endpoint, principal: Principal, id: string, now: Now): FoundTask | null {
    return taskAt(this.#snapshot, this.#tasks, { endpoint, principal }, id, now);
  }

  outline(request: ListRequest, server: string): ReadonlyMap<ChangingList, string> {
    return outline(viewAt(this.#snapshot, request.endpoint, request.principal), request, server);
  }

  servers(): readonly string[] {
    return this.#loaded.servers.map(({ server }) => server);
  }

  observe(server: string, live: LiveDefinitions): Drift[] {
    const pins = this.#loaded.servers.find((entry) => entry.server === server) ?? null;
    const drifts = compareLive(server, pins, live);
    const before = this.#observed.get(server)?.drifts;
    this.#seen.add(server);
    this.#observed.set(server, { drifts, offers: offersOf(live) });
    // Most looks find nothing new; the snapshot is made anew only when what is served may differ.
    const changed = before === undefined || !sameDrifts(before, drifts);
    if (changed) this.#snapshot = this.#build();
    this.#tell(driftEvents(server, before, drifts));
    if (changed) this.#options.onChange?.(server);
    return drifts;
  }

  forget(server: string): void {
    if (!this.#observed.delete(server)) return;
    this.#snapshot = this.#build();
    this.#tell([{ event: 'forgotten', server, target: null, code: null, text: 'withheld until it is observed again' }]);
    this.#options.onChange?.(server);
  }

  serves(target: Target, now: Now): boolean {
    const tenant = this.#snapshot.tenants.get(target.tenant);
    const found =
      target.kind === 'admin'
        ? tenant?.admin.get(target.name)
        : tenant?.servers.get(target.server)?.[target.kind].get(target.name);
    const current = found?.candidate.target;
    return (
      found !== undefined &&
      found.expiresAt > now.utc &&
      current?.digest === target.digest &&
      current.manifest === target.manifest
    );
  }

  quarantined(): Quarantined[] {
    const { servers, problems } = this.#loaded;
    const unseen = servers.map(({ server }) => server).filter((server) => !this.#mayServe(server));
    return [
      ...problems.map(refused),
      ...this.#drifts().map(drifted),
      ...unseen.map((one) => unobserved(one, this.#seen.has(one))),
    ];
  }

  problems(): readonly Problem[] {
    return this.#loaded.problems;
  }

  async reload(now: number): Promise<readonly Problem[]> {
    const loaded = await loadManifests(this.#options, now, this.#loaded);
    this.#tell(problemEvents(loaded.problems));
    const before = new Map(this.#loaded.servers.map((entry) => [entry.server, entry.digest]));
    this.#loaded = loaded;
    // What was compared with another manifest says nothing about this one.
    for (const server of this.#seen) {
      if (loaded.servers.find((entry) => entry.server === server)?.digest === before.get(server)) continue;
      this.#observed.delete(server);
      this.#seen.delete(server);
    }
    this.#snapshot = this.#build();
    for (const server of new Set([...before.keys(), ...this.servers()])) this.#options.onChange?.(server);
    return loaded.problems;
  }

  #build(): Snapshot {
    const { settings } = this.#options;
    const differ = new Set(this.#drifts().map(({ kind, server, name }) => `${kind} ${server}/${name}`));
    return buildSnapshot({
      servers: this.#loaded.servers,
      admin: this.#admin,
      tenants: ['default', ...Object.values(settings.tenants).flat()],
      tenantsOf: (server) => (Object.hasOwn(settings.tenants, server) ? settings.tenants[server]! : ['default']),
      isShared: (pin) => this.#loaded.shared.has(pinId(pin)),
      serves: (pin) => !this.#loaded.blocked.has(pinId(pin)) && !differ.has(pinId(pin)) && this.#mayServe(pin.server),
    });
  }

  #drifts(): Drift[] {
    return [...this.#observed.values()].flatMap((look) => look.drifts);
  }

  /** Compared with its pins; or never yet, where settings serve what was not. */
  #mayServe(server: string): boolean {
    if (this.#observed.has(server)) return true;
    return this.#options.settings.unobserved === 'serve' && !this.#seen.has(server);
  }

  /** Only to those who can use something of the server: to everybody else it says nothing of itself. */
  #instructionsOf(request: ListRequest): string | undefined {
    const { endpoint, principal } = request;
    if (!isUsable(viewAt(this.#snapshot, endpoint, principal), request)) return undefined;
    return this.#loaded.servers.find((entry) => entry.server === endpoint.server)?.manifest.instructions;
  }

  #tell(events: readonly RegistryEvent[]): void {
    for (const event of events) this.#options.records?.record(event);
  }
}

/** Only whether it offers them: how a capability is spelled in detail steers nobody. */
function offersOf({ capabilities = {} }: LiveDefinitions): Offers {
  const { resources } = capabilities;
  return {
    completions: capabilities['completions'] !== undefined,
    subscribe: typeof resources === 'object' && (resources as { subscribe?: unknown } | null)?.subscribe === true,
    logging: capabilities['logging'] !== undefined,
    tasks: declaresTasks(capabilities),
  };
}
