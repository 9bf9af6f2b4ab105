import { EFFECTS, type Effect, type ErrorMode, type Target } from '../../core/call.ts';
import { digestOf } from './definition-digest.ts';
import { DEFAULT_LIMITS, type ItemKind, KIND_OF, LISTS, type Manifest, type ManifestItem, nameOf } from './manifest.ts';
import { fitsPrefix } from './names.ts';
import { type ScanFinding, scanDefinition } from './scan.ts';
import { compileTemplate, type UriTemplate } from './template.ts';

/** Why a reviewed item is not served although its manifest is signed. */
export const PROBLEM_CODES = [
  'manifest',
  'exposed_name',
  'collision',
  'text_finding',
  'schema',
  'scopes',
  'template',
  'task',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

export interface Problem {
  readonly code: ProblemCode;
  readonly server: string;
  readonly kind: ItemKind | null;
  /** Name at the server; null when the whole manifest is meant. */
  readonly name: string | null;
  readonly text: string;
}

/** One reviewed item, ready to serve. Everything in it is signed or computed from what is signed. */
export interface Pin {
  readonly kind: ItemKind;
  readonly server: string;
  readonly name: string;
  readonly exposed: string;
  readonly key: string;
  readonly digest: string;
  readonly manifest: string;
  readonly effect: Effect;
  readonly scopes: readonly string[];
  readonly definition: Readonly<Record<string, unknown>>;
  readonly limits: Target['limits'];
  readonly errors: ErrorMode;
  /** Only for templates. */
  readonly template: UriTemplate | null;
}

/** All pins of one server, those that may not be served included (drift looks at them too). */
export interface ServerPins {
  readonly server: string;
  readonly manifest: Manifest;
  readonly digest: string;
  readonly kid: string;
  /** ms UTC; Infinity when the manifest does not expire. */
  readonly expiresAt: number;
  readonly pins: readonly Pin[];
  readonly problems: readonly Problem[];
}

/** Compiles input and output schemas; null when it accepts them, else why not. A fact asked of control validation. */
export interface SchemaPort {
  accept(schema: unknown): string | null;
}

/** Knows the catalogue of scopes; null when it accepts all of them, else which it does not know. */
export interface ScopePort {
  accepts(scopes: readonly string[]): string | null;
}

export interface PinPorts {
  readonly schemas: SchemaPort;
  readonly scopes: ScopePort;
}

/** Turns a verified manifest into pins and says what is wrong with each. Pure. */
export function pinManifest(
  verified: { manifest: Manifest; digest: string; kid: string },
  ports: PinPorts,
): ServerPins {
  const { manifest, digest, kid } = verified;
  const accepted = new Set(manifest.review.accepted);
  const pins: Pin[] = [];
  const problems: Problem[] = [];
  for (const list of LISTS) {
    for (const item of manifest[list]) {
      const pin = pinOf(manifest, digest, KIND_OF[list], item);
      pins.push(pin);
      for (const [code, text] of faultsOf(pin, manifest.prefix, accepted, ports)) {
        problems.push({ code, text, server: pin.server, kind: pin.kind, name: pin.name });
      }
    }
  }
  const expiresAt = manifest.expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(manifest.expires);
  return { server: manifest.server, manifest, digest, kid, expiresAt, pins, problems };
}

function pinOf(manifest: Manifest, digest: string, kind: ItemKind, item: ManifestItem): Pin {
  const definition: Readonly<Record<string, unknown>> = item.definition;
  const name = String(nameOf(kind, definition));
  const compiled = kind === 'template' ? compileTemplate(name) : null;
  return {
    kind,
    server: manifest.server,
    name,
    exposed: item.exposed,
    key: `${manifest.server}/${name}`,
    digest: digestOf(definition),
    manifest: digest,
    effect: raised(item.effect, definition['annotations']),
    scopes: item.scopes,
    definition,
    limits: { ...DEFAULT_LIMITS, ...given(item.limits ?? {}) },
    errors: item.errors ?? 'scrub',
    template: compiled && 'matches' in compiled ? compiled : null,
  };
}

function given(limits: { readonly [K in keyof Target['limits']]?: number | undefined }): Partial<Target['limits']> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

/** A server's own hints may raise what the reviewer said, never lower it: they are claims of a stranger. */
function raised(effect: Effect, annotations: unknown): Effect {
  const hints = (annotations ?? {}) as { destructiveHint?: unknown; readOnlyHint?: unknown };
  const claimed: Effect =
    hints.destructiveHint === true ? 'destructive' : hints.readOnlyHint === false ? 'write' : 'read';
  return EFFECTS.indexOf(claimed) > EFFECTS.indexOf(effect) ? claimed : effect;
}

/** Findings of the item that no person has let pass. */
function openFindings(pin: Pick<Pin, 'key' | 'name' | 'definition'>, accepted: ReadonlySet<string>): ScanFinding[] {
  return scanDefinition(pin.key, pin.name, pin.definition).filter((finding) => !accepted.has(finding.id));
}

/** Everything in a manifest that a person has to look at and has not let pass. */
export function scanManifest(manifest: Manifest): ScanFinding[] {
  const accepted = new Set(manifest.review.accepted);
  return LISTS.flatMap((list) =>
    manifest[list].flatMap((item) => openFindings(pinOf(manifest, '', KIND_OF[list], item), accepted)),
  );
}

function* faultsOf(
  pin: Pin,
  prefix: string,
  accepted: ReadonlySet<string>,
  ports: PinPorts,
): Generator<[ProblemCode, string]> {
  const byName = pin.kind === 'tool' || pin.kind === 'prompt';
  if (byName && !fitsPrefix(prefix, pin.exposed))
    yield ['exposed_name', `the exposed name must be ${prefix}__… of [a-zA-Z0-9_-], at most 63 characters`];
  if (!byName && pin.exposed !== pin.name)
    yield ['exposed_name', 'resources and templates are exposed under their own URI'];
  for (const finding of openFindings(pin, accepted))
    yield ['text_finding', `${finding.id} at ${finding.path || '/'}: ${finding.what}`];
  for (const member of ['inputSchema', 'outputSchema']) {
    const schema = pin.definition[member];
    const fault = schema === undefined ? null : ports.schemas.accept(schema);
    if (fault !== null) yield ['schema', `${member}: ${fault}`];
  }
  // Tasks of 2025-11-25 are not relayed: a call of such a tool could only fail.
  if (
    pin.kind === 'tool' &&
    (pin.definition['execution'] as { taskSupport?: unknown } | undefined)?.taskSupport === 'required'
  )
    yield ['task', 'it answers only as a task of revision 2025-11-25, which is not relayed'];
  const unknown = ports.scopes.accepts(pin.scopes);
  if (unknown !== null) yield ['scopes', unknown];
  if (pin.kind === 'template' && pin.template === null) {
    const compiled = compileTemplate(pin.name);
    yield ['template', 'fault' in compiled ? compiled.fault : 'it cannot be matched'];
  }
}
