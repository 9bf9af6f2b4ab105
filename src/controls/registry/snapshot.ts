import type { Target } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { type Addresses, addressesOf } from './addresses.ts';
import type { AdminPin } from './admin.ts';
import { ITEM_KINDS, type ItemKind } from './manifest.ts';
import type { Pin, ServerPins } from './pins.ts';
import type { UriTemplate } from './template.ts';

/** A pin as one tenant meets it. Objects are made once, so that the hot path allocates nothing. */
export interface Served {
  /** What registry.resolve leaves. */
  readonly candidate: { readonly target: Target };
  /** ms UTC, of the manifest. */
  readonly expiresAt: number;
  /** Entry of a list, as JSON text: under the exposed name, and as the server wrote it. */
  readonly exposedEntry: string;
  readonly originalEntry: string;
  readonly template: UriTemplate | null;
}

/** What one tenant finds at one endpoint. */
export interface View {
  readonly tool: ReadonlyMap<string, Served>;
  readonly prompt: ReadonlyMap<string, Served>;
  readonly resource: ReadonlyMap<string, Served>;
  readonly template: ReadonlyMap<string, Served>;
  readonly addresses: Addresses;
}

export interface TenantView {
  /** `/mcp`: all servers, exposed names. */
  readonly all: View;
  /** `/mcp/{server}`: one server, original names. */
  readonly servers: ReadonlyMap<string, View>;
  readonly admin: ReadonlyMap<string, Served>;
}

/** Immutable; a change makes a new one and swaps it in one assignment. */
export interface Snapshot {
  readonly tenants: ReadonlyMap<string, TenantView>;
  /** Digest over everything served; changes when a list may have changed. */
  readonly version: string;
}

export interface SnapshotSource {
  readonly servers: readonly ServerPins[];
  readonly admin: readonly AdminPin[];
  /** Whether a pin may be served now: no problem, no drift, observed. */
  serves(pin: Pin): boolean;
  /** Whether another server has this URI as well, so that `/mcp` cannot serve it. */
  isShared(pin: Pin): boolean;
  tenantsOf(server: string): readonly string[];
  /** Tenants that exist even without a server of their own. */
  readonly tenants: readonly string[];
}

export function buildSnapshot(source: SnapshotSource): Snapshot {
  const names = new Set([...source.tenants, ...source.servers.flatMap((entry) => source.tenantsOf(entry.server))]);
  const tenants = new Map([...names].map((tenant) => [tenant, tenantView(tenant, source)]));
  const served = source.servers.flatMap((entry) =>
    entry.pins.filter((pin) => source.serves(pin)).map((pin) => `${entry.digest} ${pin.kind} ${pin.key}`),
  );
  return { tenants, version: sha256Base64Url(served.sort().join('\n')) };
}

function tenantView(tenant: string, source: SnapshotSource): TenantView {
  const mine = source.servers.filter((entry) => source.tenantsOf(entry.server).includes(tenant));
  const served = new Map(
    mine.map((entry) => [
      entry.server,
      entry.pins
        .filter((pin) => source.serves(pin))
        .map((pin) => ({ entry: serve(tenant, pin, entry.expiresAt), shared: source.isShared(pin) })),
    ]),
  );
  const everywhere = [...served.values()].flat().filter(({ shared }) => !shared);
  const isOnAll = (pin: Pin) => source.serves(pin) && !source.isShared(pin);
  const admin = source.admin.map((pin) => serve(tenant, pin, Number.POSITIVE_INFINITY));
  return {
    all: viewOf(
      everywhere.map(({ entry }) => entry),
      (target) => target.exposed,
      addressesOf(mine, isOnAll),
    ),
    servers: new Map(
      mine.map((one) => [
        one.server,
        viewOf(
          served.get(one.server)!.map(({ entry }) => entry),
          (target) => target.name,
          addressesOf([one], (pin) => source.serves(pin)),
        ),
      ]),
    ),
    admin: new Map(admin.map((entry) => [entry.candidate.target.name, entry])),
  };
}

/** Maps keep the order they are filled in: lists read them in it, the same for every connection. */
function viewOf(list: readonly Served[], nameOf: (target: Target) => string, addresses: Addresses): View {
  const sorted = list
    .map((entry) => ({ entry, name: nameOf(entry.candidate.target), kind: entry.candidate.target.kind }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const mapOf = (kind: ItemKind) =>
    new Map(sorted.filter((one) => one.kind === kind).map((one) => [one.name, one.entry]));
  const byKind = Object.fromEntries(ITEM_KINDS.map((kind) => [kind, mapOf(kind)])) as unknown as Omit<
    View,
    'addresses'
  >;
  return { ...byKind, addresses };
}

function serve(tenant: string, pin: Pin | AdminPin, expiresAt: number): Served {
  const { kind, server, name, exposed, key, digest, manifest, effect, scopes, definition, limits, errors } = pin;
  const target: Target = Object.freeze({
    ...{ kind, tenant, server, name, exposed, key, digest, manifest, effect, scopes, definition, limits, errors },
  });
  return {
    candidate: Object.freeze({ target }),
    expiresAt,
    exposedEntry: JSON.stringify(exposedDefinition(target)),
    originalEntry: JSON.stringify(definition),
    template: pin.kind === 'template' ? pin.template : null,
  };
}

/** The definition under its name on `/mcp`; every other member as reviewed, the original in `_meta`. */
function exposedDefinition({ kind, definition, exposed, key }: Target): object {
  const meta = { ...(definition['_meta'] as object | undefined), 'gatewrit/original': key };
  return { ...definition, ...(kind === 'tool' || kind === 'prompt' ? { name: exposed } : {}), _meta: meta };
}
