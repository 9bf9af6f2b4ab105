import type { Finding, Span } from '../../core/call.ts';
import { editLeaves, type LeafEdit, type LeafKind, LeafWalk, pointer } from '../../core/mcp/leaves.ts';
import { isBinaryContent } from './binary.ts';
import { type Depth, detect, detectNumber, featuresOf, isSecret, type Rules } from './detect.ts';
import { OPEN_RULE } from './detectors/private-key.ts';
import { announcesSecret } from './detectors/secret.ts';
import { ESCAPED, features, UNICODE, WORDS } from './features.ts';
import { encodedLike } from './nested.ts';
import { type Found, type Known, NO_PLACE, type Place, wordsOf } from './types.ts';

/** What is to happen with what is found, decided by direction, settings and profile. */
export interface Treatment {
  readonly rules: Rules;
  action(found: Found, segments: readonly (string | number)[]): Finding['action'];
  replacement(found: Found): string;
  /** How deep a leaf is read; null: not at all (protocol members that only correlate). */
  depth(segments: readonly (string | number)[]): Depth | null;
}

export interface Scanned {
  /** The same object when nothing was replaced. */
  readonly bytes: Uint8Array;
  readonly findings: readonly Finding[];
  /** First finding whose action is to block. */
  readonly blocked: Finding | null;
  /** Values found as GENERIC_SECRET, for the residual check only. */
  readonly secrets: ReadonlySet<string>;
}

const NOTHING = { findings: [], blocked: null, secrets: new Set<string>() } as const;

interface Hit {
  readonly span: Span;
  readonly kind: LeafKind;
  readonly container: number;
  readonly segments: readonly (string | number)[];
  readonly text: string;
  readonly found: readonly Found[];
  /** The leaf is itself a JSON text: its own bytes and hits. */
  readonly nested: { readonly bytes: Uint8Array; readonly hits: readonly Hit[] } | null;
}

/** A record of every value in a table of thousands helps nobody and fills the log: the rest is counted per type. */
const MAX_FINDINGS = 200;
const MAX_PATH = 256;

/** One JSON document: found, reported, replaced. Bytes MUST be valid JSON. */
export function scanDocument(bytes: Uint8Array, treatment: Treatment): Scanned {
  const flags = features(bytes, 0, bytes.length);
  if (flags === 0) return { bytes, ...NOTHING };
  let hits = collect(bytes, flags, treatment, null, false);
  // What one leaf called a phone number or password may stand without that word in another: the text beside the
  // structured result (dlp.md pitfall 1). Such values are looked for once more, everywhere.
  const known = knownValues(hits);
  if (known !== null) hits = collect(bytes, flags, treatment, known, false);
  if (hits.length === 0) return { bytes, ...NOTHING };
  const report = new Report(treatment);
  const settled = settle(bytes, hits, treatment, report, []);
  return { bytes: settled, findings: report.list(), blocked: report.blocked, secrets: report.secrets };
}

function collect(bytes: Uint8Array, flags: number, treatment: Treatment, known: Known | null, nested: boolean): Hit[] {
  const hits: Hit[] = [];
  const walk = new LeafWalk(bytes);
  const reader = new LeafReader(walk, treatment, known, (flags & WORDS) !== 0, nested);
  while (walk.next()) {
    const hit = reader.read();
    if (hit !== null) hits.push(hit);
  }
  return hits;
}

/** Reads leaf after leaf and remembers the little that the next one needs. */
class LeafReader {
  readonly #walk: LeafWalk;
  readonly #treatment: Treatment;
  readonly #known: Known | null;
  readonly #words: boolean;
  readonly #nested: boolean;
  #root: { readonly tree: unknown } | null = null;
  #namedAt = -2;
  #announced = false;
  #previous = { container: -1, start: 0, end: 0 };
  /** A private key began in the string before and has not ended. */
  #openKey = false;

  constructor(walk: LeafWalk, treatment: Treatment, known: Known | null, words: boolean, nested: boolean) {
    this.#walk = walk;
    this.#treatment = treatment;
    this.#known = known;
    this.#words = words;
    this.#nested = nested;
  }

  read(): Hit | null {
    const walk = this.#walk;
    if (walk.kind === 'number') {
      return walk.end - walk.start < 6 ? null : this.#readNumber();
    }
    const flags = features(walk.bytes, walk.start + 1, walk.end - 1);
    const announced = walk.kind === 'string' && this.#words && this.#isAnnounced();
    const hit = flags !== 0 || announced || this.#openKey || this.#known !== null ? this.#readString(flags) : null;
    if (walk.kind === 'string') this.#previous = { container: walk.container, start: walk.start, end: walk.end };
    return hit;
  }

  #readNumber(): Hit | null {
    const depth = this.#depth();
    if (depth === null || depth === 'opaque') return null;
    const text = this.#walk.text();
    const found = detectNumber(text, this.#place(), this.#treatment.rules);
    return found === null ? null : this.#hit(text, [found], null);
  }

  #readString(flags: number): Hit | null {
    const walk = this.#walk;
    const depth = this.#depth();
    if (depth === null) return null;
    const text = walk.text();
    if (walk.kind === 'key')
      return this.#whenFound(text, detect(text, flags, NO_PLACE, this.#treatment.rules, 'inner'));
    if (this.#isContent() && isBinaryContent(this.#tree(), walk.segments(), text)) return null;
    const line = this.#keyLine(text);
    if (line !== null) return this.#hit(text, [line], null);
    const embedded = this.#nested || depth !== 'whole' ? null : embeddedJson(text);
    if (embedded !== null) {
      const inner = collect(embedded, featuresOf(text) | UNICODE | WORDS, this.#treatment, this.#known, true);
      return inner.length === 0 ? null : this.#hit(text, [], { bytes: embedded, hits: inner });
    }
    const found = detect(text, flags, this.#place(), this.#treatment.rules, depth);
    this.#openKey = found.some((one) => one.rule === OPEN_RULE);
    return this.#whenFound(text, found);
  }

  /** Protocol members that are read less deeply stand at the top: no path is built for the rest. */
  #depth(): Depth | null {
    return this.#nested || this.#walk.level() > 3 ? 'whole' : this.#treatment.depth(this.#walk.segments());
  }

  /** The member `data` or `blob`. */
  #isContent(): boolean {
    const { start, end } = this.#walk.nearestKeySpan();
    if (end - start !== 6) return false;
    const name = this.#walk.bytes.toString('latin1', start + 1, end - 1);
    return name === 'data' || name === 'blob';
  }

  /** A line of a private key that is sent as an array of lines. */
  #keyLine(text: string): Found | null {
    if (!this.#openKey) return null;
    const last = text.includes('-----END ');
    const body = /^[A-Za-z0-9+/=\s:,.-]*$/.test(text);
    this.#openKey = body && !last;
    if (!body && !last) return null;
    return { type: 'PRIVATE_KEY', start: 0, end: text.length, rule: 'private_key.line', value: '' };
  }

  #whenFound(text: string, found: readonly Found[]): Hit | null {
    return found.length === 0 ? null : this.#hit(text, found, null);
  }

  #hit(text: string, found: readonly Found[], nested: Hit['nested']): Hit {
    const { start, end, kind, container } = this.#walk;
    const segments = this.#walk.segments();
    return { span: { start, end }, kind, container, segments, text, found, nested };
  }

  #isAnnounced(): boolean {
    const { start, end } = this.#walk.nearestKeySpan();
    if (start !== this.#namedAt) {
      this.#namedAt = start;
      const plain = (features(this.#walk.bytes, start + 1, end - 1) & (WORDS | ESCAPED)) === 0;
      // `{"password":{"value":…}}`: these short names say nothing themselves.
      this.#announced = !(plain && end - start > 9) && announcesSecret(wordsOf(this.#walk.keys(2)));
    }
    return this.#announced;
  }

  #place(): Place {
    const { container, start, end } = this.#previous;
    const near = container === this.#walk.container && end - start <= 34;
    return new LeafPlace(this.#walk, this.#words && this.#isAnnounced(), near ? this.#previous : null, this.#known);
  }

  #tree(): unknown {
    this.#root ??= { tree: JSON.parse(this.#walk.bytes.toString('utf8')) };
    return this.#root.tree;
  }
}

/** Most leaves never ask for their names, so names are read only when asked for; the walk MUST still stand on the leaf. */
class LeafPlace implements Place {
  readonly announced: boolean;
  readonly known: Known | null;
  readonly #walk: LeafWalk;
  readonly #previous: Span | null;
  #keys: string[] | null = null;
  #names: string | null = null;

  constructor(walk: LeafWalk, announced: boolean, previous: Span | null, known: Known | null) {
    this.#walk = walk;
    this.announced = announced;
    this.#previous = previous;
    this.known = known;
  }

  get name(): string {
    this.#keys ??= this.#walk.keys(2);
    return wordsOf(this.#keys.slice(-1));
  }

  get names(): string {
    this.#keys ??= this.#walk.keys(2);
    this.#names ??= wordsOf(this.#keys);
    return this.#names;
  }

  get before(): string {
    if (this.#previous === null) return '';
    return this.#walk.bytes.toString('utf8', this.#previous.start + 1, this.#previous.end - 1).toLowerCase();
  }
}

/** The bytes of a string that is itself a JSON object or array, else null. */
function embeddedJson(text: string): Uint8Array | null {
  if (!/^\s{0,8}[[{]/.test(text)) return null;
  try {
    JSON.parse(text);
    return Buffer.from(text);
  } catch {
    return null;
  }
}

function knownValues(hits: readonly Hit[]): Known | null {
  const digits = new Set<string>();
  const secrets = new Set<string>();
  const visit = (hit: Hit) => {
    for (const found of hit.found) {
      if (found.contextual !== true || found.quiet === true) continue;
      // A phone number's token value is E.164; what stands elsewhere is its digits.
      const value =
        found.type === 'GENERIC_SECRET' ? found.value : hit.text.slice(found.start, found.end).replace(/\D/g, '');
      // Short ones would hit everywhere.
      if (value.length >= 6) (found.type === 'GENERIC_SECRET' ? secrets : digits).add(value);
    }
    hit.nested?.hits.forEach(visit);
  };
  hits.forEach(visit);
  return digits.size + secrets.size === 0 ? null : { digits, secrets };
}

function settle(
  bytes: Uint8Array,
  hits: readonly Hit[],
  treatment: Treatment,
  report: Report,
  outer: readonly (string | number)[],
): Uint8Array {
  const edits: LeafEdit[] = [];
  const renamed: { hit: Hit; value: string }[] = [];
  for (const hit of hits) {
    const segments = [...outer, ...hit.segments];
    const value =
      hit.nested === null ? rewrite(hit, segments, treatment, report) : settleNested(hit, segments, treatment, report);
    if (value === null) continue;
    if (hit.kind === 'key') renamed.push({ hit, value });
    else edits.push({ span: hit.span, value });
  }
  if (renamed.length > 0) edits.push(...distinctKeys(bytes, renamed));
  return editLeaves(bytes, edits);
}

function settleNested(
  hit: Hit,
  segments: readonly (string | number)[],
  treatment: Treatment,
  report: Report,
): string | null {
  const { bytes, hits } = hit.nested!;
  const settled = settle(bytes, hits, treatment, report, segments);
  return settled === bytes ? null : Buffer.from(settled).toString('utf8');
}

/** The text with everything replaced that is to be; null when it stays as it is. */
function rewrite(
  hit: Hit,
  segments: readonly (string | number)[],
  treatment: Treatment,
  report: Report,
): string | null {
  return replaceIn(hit.text, hit.found, treatment, (found) => report.add(found, segments));
}

/** @param note is told each finding and says what is done with it */
export function replaceIn(
  text: string,
  list: readonly Found[],
  treatment: Pick<Treatment, 'replacement'>,
  note: (found: Found) => Finding['action'],
): string | null {
  let out = '';
  let at = 0;
  for (const found of list) {
    const stand =
      found.inside === undefined
        ? ownReplacement(text, found, treatment, note)
        : insideReplacement(text, found, treatment, note);
    if (stand === null) continue;
    out += text.slice(at, found.start) + stand;
    at = found.end;
  }
  return at === 0 ? null : out + text.slice(at);
}

function ownReplacement(
  text: string,
  found: Found,
  treatment: Pick<Treatment, 'replacement'>,
  note: (found: Found) => Finding['action'],
): string | null {
  const action = note(found);
  if (action !== 'replaced' && action !== 'masked') return null;
  const stand = treatment.replacement(found);
  // A number behind `"name":` in text that shows JSON: with quotes what reads that text still can.
  return /["']\s{0,3}:\s{0,3}$/.test(text.slice(Math.max(0, found.start - 8), found.start)) ? `"${stand}"` : stand;
}

function insideReplacement(
  text: string,
  found: Found,
  treatment: Pick<Treatment, 'replacement'>,
  note: (found: Found) => Finding['action'],
): string | null {
  const inside = found.inside!;
  const named = inside.found.map((one) => ({ ...one, rule: `${one.rule}.base64` }));
  const cleaned = replaceIn(inside.text, named, treatment, note);
  return cleaned === null ? null : encodedLike(text.slice(found.start, found.end), cleaned);
}

/** Two names of one object may become the same token: later ones get a number, so that the object keeps its members. */
function distinctKeys(bytes: Uint8Array, renamed: readonly { hit: Hit; value: string }[]): LeafEdit[] {
  const objects = new Map<number, Set<string>>(renamed.map(({ hit }) => [hit.container, new Set<string>()]));
  const changed = new Set(renamed.map(({ hit }) => hit.span.start));
  const walk = new LeafWalk(bytes);
  while (walk.next()) {
    if (walk.kind === 'key' && !changed.has(walk.start)) objects.get(walk.container)?.add(walk.text());
  }
  return renamed.map(({ hit, value }) => {
    const taken = objects.get(hit.container)!;
    let name = value;
    for (let count = 2; taken.has(name); count++) name = `${value}~${count}`;
    taken.add(name);
    return { span: hit.span, value: name };
  });
}

/** Collects findings; their paths never show a value either. */
class Report {
  readonly #treatment: Treatment;
  readonly #findings: Finding[] = [];
  readonly #more = new Map<string, { finding: Finding; count: number }>();
  readonly #names = new Map<string, string>();
  readonly secrets = new Set<string>();
  blocked: Finding | null = null;

  constructor(treatment: Treatment) {
    this.#treatment = treatment;
  }

  add(found: Found, segments: readonly (string | number)[]): Finding['action'] {
    const wanted = this.#treatment.action(found, segments);
    const action = found.quiet === true ? 'reported' : wanted;
    if (found.type === 'GENERIC_SECRET') this.secrets.add(found.value);
    const full = this.#findings.length >= MAX_FINDINGS;
    if (full && action !== 'blocked') {
      const key = `${found.type} ${action}`;
      const more = this.#more.get(key);
      if (more !== undefined) more.count++;
      else this.#more.set(key, { finding: { type: found.type, path: '', rule: '', action }, count: 1 });
      return action;
    }
    const finding = { type: found.type, path: this.#path(segments), rule: found.rule, action };
    if (!full) this.#findings.push(finding);
    if (action === 'blocked') this.blocked ??= finding;
    return action;
  }

  list(): Finding[] {
    for (const { finding, count } of this.#more.values())
      this.#findings.push({ ...finding, rule: `and ${count} more` });
    this.#more.clear();
    return this.#findings;
  }

  #path(segments: readonly (string | number)[]): string {
    const path = pointer(segments.map((segment) => (typeof segment === 'string' ? this.#cleanName(segment) : segment)));
    return path.length > MAX_PATH ? `${path.slice(0, MAX_PATH)}…` : path;
  }

  #cleanName(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const found = detect(name, featuresOf(name), NO_PLACE, this.#treatment.rules, 'inner');
    const clean =
      replaceIn(name, found, this.#treatment, (one) => (one.quiet === true ? 'reported' : 'replaced')) ?? name;
    this.#names.set(name, clean);
    return clean;
  }
}

/**
 * A secret that is still there after redaction, or null. What only its name made a secret counts when it is one of
 * the values already found: under `password` our own marker with a rest behind it would look like a new one.
 */
export function survivingSecret(scanned: Scanned, treatment: Treatment): Finding | null {
  const survives = (found: Found) =>
    isSecret(found) && (found.type !== 'GENERIC_SECRET' || scanned.secrets.has(found.value));
  const again = scanDocument(scanned.bytes, {
    rules: treatment.rules,
    depth: (segments) => treatment.depth(segments),
    replacement: (found) => treatment.replacement(found),
    action: (found, segments) =>
      survives(found) && treatment.action(found, segments) === 'replaced' ? 'blocked' : 'reported',
  });
  return again.blocked;
}
