import { digestOf } from './definition-digest.ts';
import { type ItemKind, KIND_OF, LISTS, type ListName, nameOf } from './manifest.ts';
import type { ServerPins } from './pins.ts';
import { inert } from './scan.ts';

/** What a live server says it offers (attacker-controlled); null for a list it does not support. */
export type LiveDefinitions = { readonly [L in ListName]?: readonly unknown[] | null } & {
  /** Capabilities it declared. */
  readonly capabilities?: Readonly<Record<string, unknown>>;
};

const CHANGES = ['changed', 'new', 'missing', 'duplicate', 'malformed'] as const;
export type Change = (typeof CHANGES)[number];

/** One difference between a live server and its pins. */
export interface Drift {
  readonly change: Change;
  readonly server: string;
  readonly kind: ItemKind;
  /** Name, URI or template as the live server wrote it; show it through `inert`. */
  readonly name: string;
  /** Members of the definition that differ, for `changed`. */
  readonly fields: readonly string[];
  readonly pinned: string | null;
  readonly live: string | null;
}

/** Beyond this many items a list is not a list but an attack; what follows is not looked at. */
const MAX_LIVE_ITEMS = 5000;

/**
 * Compares live definitions with pins, member by member; any difference counts, unknown members included. Pure.
 * `pins` null: a server nobody reviewed, everything it offers is new.
 */
export function compareLive(server: string, pins: ServerPins | null, live: LiveDefinitions): Drift[] {
  return LISTS.flatMap((list) => compareList(server, pins, KIND_OF[list], live[list] ?? []));
}

function compareList(server: string, pins: ServerPins | null, kind: ItemKind, live: readonly unknown[]): Drift[] {
  const pinned = new Map((pins?.pins ?? []).filter((pin) => pin.kind === kind).map((pin) => [pin.name, pin]));
  const left = new Set(
    (pins?.manifest.excluded ?? []).filter((entry) => entry.kind === kind).map((entry) => entry.name),
  );
  const drifts = new Map<string, Drift>();
  const seen = new Set<string>();
  const report = (change: Change, name: string, fields: readonly string[] = [], liveDigest: string | null = null) => {
    drifts.set(name, {
      change,
      server,
      kind,
      name,
      fields,
      pinned: pinned.get(name)?.digest ?? null,
      live: liveDigest,
    });
  };
  for (const entry of live.slice(0, MAX_LIVE_ITEMS)) {
    const name = liveName(kind, entry);
    if (name === null) {
      report('malformed', '');
      continue;
    }
    const definition = settled(kind, entry as Readonly<Record<string, unknown>>);
    const digest = digestOrNull(definition);
    const pin = pinned.get(name);
    if (seen.has(name)) report('duplicate', name);
    else if (digest === null) report('malformed', name);
    else if (!pin && !left.has(name)) report('new', name, [], digest);
    else if (pin) {
      const reviewed = settled(kind, pin.definition);
      if (digest !== digestOf(reviewed)) report('changed', name, changedFields(reviewed, definition), digest);
    }
    seen.add(name);
  }
  for (const name of pinned.keys()) if (!seen.has(name)) report('missing', name);
  return [...drifts.values()];
}

function liveName(kind: ItemKind, entry: unknown): string | null {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return null;
  const name = nameOf(kind, entry as Readonly<Record<string, unknown>>);
  return typeof name === 'string' && name.length > 0 && name.length <= 2048 ? name : null;
}

/** Size and time of last change of a resource are data, not definition: they move with every write. */
export function settled(
  kind: ItemKind,
  definition: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (kind !== 'resource') return definition;
  const { size: _size, annotations, ...rest } = definition;
  if (typeof annotations !== 'object' || annotations === null || Array.isArray(annotations)) {
    return annotations === undefined ? rest : { ...rest, annotations };
  }
  const { lastModified: _time, ...notes } = annotations as Record<string, unknown>;
  return Object.keys(notes).length > 0 ? { ...rest, annotations: notes } : rest;
}

function changedFields(pinned: Readonly<Record<string, unknown>>, live: Readonly<Record<string, unknown>>): string[] {
  const names = new Set([...Object.keys(pinned), ...Object.keys(live)]);
  return [...names].filter((name) => digestOrNull(pinned[name] ?? null) !== digestOrNull(live[name] ?? null)).sort();
}

function digestOrNull(value: unknown): string | null {
  try {
    return digestOf(value);
  } catch {
    // A live definition without canonical form (a lone surrogate) equals no pin.
    return null;
  }
}

/** Differences of one look, and members of one definition, that are told one by one. */
export const MAX_TOLD = 20;

/** Members that differ, in inert characters; the names of new ones are the server's own. */
export function fieldsOf({ fields }: Drift): string {
  const named = fields.slice(0, MAX_TOLD).map((field) => inert(field, 60));
  const more = fields.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

/** Two looks that find the same tell the same. */
export function driftId(drift: Drift): string {
  return `${drift.change} ${drift.kind} ${drift.name} ${drift.live}`;
}

export function sameDrifts(a: readonly Drift[], b: readonly Drift[]): boolean {
  return a.length === b.length && a.every((drift, i) => driftId(drift) === driftId(b[i]!));
}
