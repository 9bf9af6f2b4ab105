import {
  collisions,
  draftManifest,
  type ItemKind,
  inert,
  KIND_OF,
  LISTS,
  type ListName,
  nameOf,
  pinManifest,
  propose,
  readManifest,
  type ScanFinding,
  type SchemaPort,
  scopeOf,
} from '../../controls/registry/index.ts';
import { EFFECTS, type Effect } from '../../core/call.ts';
import { nearest } from '../../core/settings.ts';

type Live = Parameters<typeof draftManifest>[0]['live'];

/** One thing a server offers, with what was proposed and what the person made of it. */
export interface ReviewItem {
  readonly list: ListName;
  readonly kind: ItemKind;
  /** Name, URI or template at the server; attacker-controlled. */
  readonly name: string;
  readonly definition: Readonly<Record<string, unknown>>;
  readonly exposed: string;
  readonly reasons: readonly string[];
  readonly findings: readonly ScanFinding[];
  effect: Effect;
  scopes: string[];
  limits: Record<string, number>;
  /** Why it cannot be served as it is, whatever a person says; null: it can. */
  readonly fault: string | null;
  /** Why a person does not want it; null: wanted. */
  unwanted: string | null;
}

/** A review as it goes on: proposals that a person changes until they are accepted. Nothing is written by it. */
export interface Review {
  readonly server: string;
  readonly prefix: string;
  readonly items: readonly ReviewItem[];
  readonly notes: readonly string[];
  /** Ids of findings a person looked at and lets pass. */
  readonly passed: Set<string>;
}

export interface Reviewed {
  readonly owner: string;
  readonly by: string;
  /** RFC 3339. */
  readonly at: string;
  readonly note: string;
  readonly endpoint: string;
}

const MAX_NAME = 2048;

/** Judges everything a live server offers, item by item: what is wrong with one takes nothing from the others. */
export function openReview(of: { server: string; prefix: string; live: Live; schemas: SchemaPort }): Review {
  const { server, prefix } = of;
  const { manifest, findings, notes } = draftManifest(of);
  const drafted = LISTS.flatMap((list) => (manifest[list] as Drafted[]).map((item) => ({ list, item })));
  const confused = new Set(
    LISTS.flatMap((list) => {
      const named = (manifest[list] as Drafted[]).map((item) => ({ name: item.exposed, item }));
      return [...collisions(named).keys()].map(({ item }) => item);
    }),
  );
  const items = drafted.flatMap(({ list, item }): ReviewItem[] => {
    const kind = KIND_OF[list];
    const name = String(nameOf(kind, item.definition));
    if (name === '' || name.length > MAX_NAME) return [];
    const twin = confused.has(item) ? 'another item of this server has the same or a look-alike name' : null;
    return [
      {
        ...{ list, kind, name, definition: item.definition, exposed: item.exposed },
        reasons: propose(server, kind, item.definition).reasons,
        findings: findings.filter((finding) => finding.item === `${server}/${name}`),
        effect: item.effect,
        scopes: [...item.scopes],
        limits: { ...item.limits },
        fault: twin ?? faultOf({ ...manifest, prefix }, list, item, of.schemas),
        unwanted: null,
      },
    ];
  });
  return { server, prefix, items, notes, passed: new Set() };
}

interface Drafted {
  readonly exposed: string;
  readonly scopes: readonly string[];
  readonly effect: Effect;
  readonly limits?: Record<string, number>;
  readonly definition: Readonly<Record<string, unknown>>;
}

const FILLED = { version: '1', owner: 'nobody' };

/** The same judgement as at every start, of this one item alone; texts are a person's to judge and not looked at here. */
function faultOf(whole: object, list: ListName, item: Drafted, schemas: SchemaPort): string | null {
  const lists = Object.fromEntries(LISTS.map((name) => [name, name === list ? [item] : []]));
  const review = { by: 'nobody', at: new Date(0).toISOString(), note: 'draft', accepted: [] };
  const read = readManifest(Buffer.from(JSON.stringify({ ...whole, ...FILLED, review, ...lists })));
  if ('faults' in read) return read.faults.map(({ text }) => text.replace(`${list}.0.`, '')).join('; ');
  const ports = { schemas, scopes: { accepts: () => null } };
  const { problems } = pinManifest({ manifest: read.manifest, digest: '', kid: '' }, ports);
  const hard = problems.filter(({ code }) => code !== 'text_finding');
  return hard.length === 0 ? null : hard.map(({ text }) => text).join('; ');
}

/** Findings of an item that nobody has let pass. */
export function openFindings(review: Review, item: ReviewItem): readonly ScanFinding[] {
  return item.findings.filter(({ id }) => !review.passed.has(id));
}

/** Why an item will not be served; null: it will. Where one finding is open, the item stays out. */
export function leftOut(review: Review, item: ReviewItem): string | null {
  if (item.fault !== null) return `it cannot be served: ${item.fault}`;
  const open = openFindings(review, item);
  if (open.length > 0) return `nobody let its findings pass: ${open.map(({ rule }) => rule).join(', ')}`;
  return item.unwanted;
}

const CHANGE = /^(.+)\.(effect|scope|serve|limits\.[A-Za-z]+)=(.*)$/s;

/**
 * Carries out one change a person asks for: `TOOL.effect=read`, `TOOL.scope=a:b`, `TOOL.limits.timeoutMs=5000`,
 * `TOOL.serve=no`. `*` means every item, and does not lower what was proposed as destructive: that is done by name.
 * @returns null when done, else what is wrong, for the person
 */
export function change(review: Review, text: string): string | null {
  const parts = CHANGE.exec(text);
  if (!parts) return `"${inert(text)}" is not TOOL.effect=…, TOOL.scope=…, TOOL.serve=no or TOOL.limits.NAME=…`;
  const [, name, what, value] = parts as unknown as [string, string, string, string];
  const named = review.items.filter((item) => name === '*' || item.name === name);
  if (named.length === 0) {
    const names = review.items.map((item) => item.name);
    const near = nearest(name, names);
    return `${review.server} offers no "${inert(name)}"${near ? `; did you mean "${inert(near)}"?` : ''}`;
  }
  for (const item of named) {
    const wrong = changeOne(review, item, { what, value, all: name === '*' });
    if (wrong !== null) return wrong;
  }
  return null;
}

function changeOne(review: Review, item: ReviewItem, of: { what: string; value: string; all: boolean }): string | null {
  const { what, value, all } = of;
  if (what === 'effect') {
    if (!(EFFECTS as readonly string[]).includes(value)) return `an effect is one of ${EFFECTS.join(', ')}`;
    if (all && (item.kind !== 'tool' || item.effect === 'destructive')) return null;
    const hint = (item.definition['annotations'] as { destructiveHint?: unknown } | undefined)?.destructiveHint;
    if (hint === true && value !== 'destructive')
      return `${inert(item.name)} says of itself that it destroys; it stays destructive`;
    if (item.scopes.length === 1 && item.scopes[0] === scopeOf(review.server, item.effect))
      item.scopes = [scopeOf(review.server, value as Effect)];
    item.effect = value as Effect;
    return null;
  }
  if (what === 'scope') {
    item.scopes = value.split(/[ ,]+/).filter(Boolean);
    return item.scopes.length === 0 ? 'name at least one scope: an empty list means nobody' : null;
  }
  if (what === 'serve') {
    if (value !== 'yes' && value !== 'no') return 'serve takes yes or no';
    item.unwanted = value === 'no' ? 'the reviewer left it out' : null;
    return null;
  }
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) return `${what} takes a whole number`;
  item.limits = { ...item.limits, [what.slice('limits.'.length)]: number };
  return null;
}

/** Lets a finding pass. @returns null when done, else what is wrong */
export function pass(review: Review, id: string): string | null {
  if (!review.items.some(({ findings }) => findings.some((finding) => finding.id === id)))
    return `there is no finding "${inert(id)}"`;
  review.passed.add(id);
  return null;
}

/** The manifest as reviewed, ready to be signed: what is left out is named with its reason. */
export function manifestOf(review: Review, reviewed: Reviewed): Record<string, unknown> {
  const { owner, by, at, note, endpoint } = reviewed;
  const { server, prefix } = review;
  const served = review.items.filter((item) => leftOut(review, item) === null);
  // Two of one name are left out once: one entry covers both.
  const out = new Map(
    review.items.flatMap((item) => {
      const reason = leftOut(review, item);
      return reason === null
        ? []
        : [[`${item.kind} ${item.name}`, { kind: item.kind, name: item.name, reason: inert(reason, 400) }] as const];
    }),
  );
  const lists = LISTS.map((list) => [list, served.filter((item) => item.list === list).map(entryOf)] as const);
  const accepted = [...review.passed];
  return {
    ...{ format: 1, server, prefix, title: server, version: at.slice(0, 19).replaceAll(':', ''), owner, endpoint },
    review: { by, at, note, accepted },
    ...Object.fromEntries(lists),
    excluded: [...out.values()],
  };
}

function entryOf({ exposed, scopes, effect, limits, definition }: ReviewItem): object {
  const some = Object.keys(limits).length > 0;
  return { exposed, scopes, effect, ...(some ? { limits } : {}), definition };
}
