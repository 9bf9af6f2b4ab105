import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import type { Asker } from './entitled.ts';
import { inertText, type Mark } from './inert-text.ts';

/** One leaf of the arguments, as shown. `text` and `tail` are inert; between them `hidden` characters are left out. */
export interface ShownValue {
  /** JSON Pointer, inert. */
  readonly path: string;
  readonly type: 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array';
  readonly text: string;
  readonly tail: string;
  readonly hidden: number;
  readonly marks: readonly Mark[];
}

/**
 * What the person who decides is shown: made by us from the call alone, the same for the same call, never a word of
 * the agent's own about it. Kept sealed; its digest is part of what is approved, so "what was shown" can be proved.
 */
export interface Card {
  readonly v: 1;
  readonly server: string;
  readonly name: string;
  readonly kind: string;
  readonly effect: string;
  /** The resource asked for, for kinds whose target does not say it; '' otherwise. */
  readonly resource: string;
  readonly definition: string;
  readonly manifest: string;
  readonly asker: {
    readonly subject: string;
    readonly issuer: string;
    readonly client: string;
    readonly actors: readonly string[];
  };
  readonly arguments: readonly ShownValue[];
  /** Members of `_meta` that travel with the call. */
  readonly meta: readonly ShownValue[];
  /** Leaves that are not shown at all. */
  readonly omitted: number;
  /** True when something is truncated, hidden or drawn like something else: look closer, or deny. */
  readonly uninspectable: boolean;
  readonly rule: string;
  readonly quorum: number;
  /** RFC 3339. */
  readonly askedAt: string;
  readonly decideBy: string;
  /** What became of the last request for this very call, when it is remembered. */
  readonly before: string | null;
}

export interface CardFacts {
  readonly server: string;
  readonly name: string;
  readonly kind: string;
  readonly effect: string;
  readonly resource: string;
  readonly definition: string;
  readonly manifest: string;
  readonly asker: Asker;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly rule: string;
  readonly quorum: number;
  readonly askedAt: number;
  readonly decideBy: number;
  readonly before: string | null;
}

const MAX_LEAVES = 64;
const HEAD_CHARACTERS = 400;
const TAIL_CHARACTERS = 100;

export function cardOf(facts: CardFacts): Card {
  const leaves: ShownValue[] = [];
  const total = flatten(facts.arguments, '', leaves);
  const meta: ShownValue[] = [];
  const totalMeta = flatten(facts.meta, '', meta);
  const omitted = total - leaves.length + (totalMeta - meta.length);
  const asker = {
    subject: inertText(facts.asker.subject).text,
    issuer: inertText(facts.asker.issuer).text,
    client: inertText(facts.asker.client).text,
    actors: facts.asker.actors.map((actor) => inertText(`${actor.subject} (${actor.issuer})`).text),
  };
  return {
    v: 1,
    server: facts.server,
    name: inertText(facts.name).text,
    kind: facts.kind,
    effect: facts.effect,
    resource: inertText(facts.resource).text,
    definition: facts.definition,
    manifest: facts.manifest,
    asker,
    arguments: leaves,
    meta,
    omitted,
    uninspectable:
      omitted > 0 ||
      inertText(facts.resource).marks.length > 0 ||
      leaves.some((leaf) => leaf.marks.length > 0) ||
      meta.some((leaf) => leaf.marks.length > 0),
    rule: facts.rule,
    quorum: facts.quorum,
    askedAt: new Date(facts.askedAt).toISOString(),
    decideBy: new Date(facts.decideBy).toISOString(),
    before: facts.before,
  };
}

export function cardDigest(card: Card): string {
  return sha256Base64Url(canonicalJson(card));
}

/** Appends the leaves below `value` while there is room; returns how many there are. */
function flatten(value: unknown, path: string, into: ShownValue[]): number {
  const members =
    typeof value === 'object' && value !== null
      ? Array.isArray(value)
        ? value.map((item, index) => [String(index), item] as const)
        : Object.entries(value)
      : [];
  if (members.length > 0) {
    let count = 0;
    for (const [key, item] of members) {
      count += flatten(item, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, into);
    }
    return count;
  }
  if (path === '') return 0;
  if (into.length < MAX_LEAVES) into.push(leafOf(value, path));
  return 1;
}

function leafOf(value: unknown, path: string): ShownValue {
  const name = shorten(path);
  const shown = shorten(typeof value === 'string' ? value : JSON.stringify(value));
  return {
    path: name.hidden > 0 ? `${name.text}…${name.tail}` : name.text,
    type: typeOf(value),
    text: shown.text,
    tail: shown.tail,
    hidden: shown.hidden,
    marks: [...new Set([...name.marks, ...shown.marks])],
  };
}

/** The tail is shown too: an attacker would like the danger to begin where showing ends. */
function shorten(value: string): { text: string; tail: string; hidden: number; marks: readonly Mark[] } {
  const whole = inertText(value);
  const characters = value.length > HEAD_CHARACTERS + TAIL_CHARACTERS ? [...value] : null;
  if (!characters || characters.length <= HEAD_CHARACTERS + TAIL_CHARACTERS) {
    return { text: whole.text, tail: '', hidden: 0, marks: whole.marks };
  }
  return {
    text: inertText(characters.slice(0, HEAD_CHARACTERS).join('')).text,
    tail: inertText(characters.slice(-TAIL_CHARACTERS).join('')).text,
    hidden: characters.length - HEAD_CHARACTERS - TAIL_CHARACTERS,
    marks: [...whole.marks, 'truncated'],
  };
}

function typeOf(value: unknown): ShownValue['type'] {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const type = typeof value;
  return type === 'string' || type === 'number' || type === 'boolean' ? type : 'object';
}
