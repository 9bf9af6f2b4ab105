import type { Span } from '../../core/call.ts';
import { type LeafKind, LeafWalk } from '../../core/mcp/leaves.ts';
import { DEFAULT_SCAN_LIMITS } from '../../core/mcp/scanner.ts';
import { treeOf } from '../../core/mcp/tree.ts';
import { isBinaryContent } from './binary.ts';
import { type Depth, detect, detectNumber, featuresOf } from './detect.ts';
import { OPEN_RULE } from './detectors/private-key.ts';
import { announcesSecret } from './detectors/secret.ts';
import { ESCAPED, features, UNICODE, WORDS } from './features.ts';
import { hasContext, isWeak } from './gate.ts';
import type { Treatment } from './treatment.ts';
import { type Found, type Known, nameWith, type Place, wordsOf } from './types.ts';

/** A leaf in which something was found. */
export interface Hit {
  readonly span: Span;
  readonly kind: LeafKind;
  readonly container: number;
  readonly segments: readonly (string | number)[];
  readonly text: string;
  readonly found: readonly Found[];
  /** The leaf is itself a JSON text: its own bytes and hits. */
  readonly nested: { readonly bytes: Uint8Array; readonly hits: readonly Hit[] } | null;
}

/** Every leaf of a document with findings, in order. @param nested the document stood in a string itself */
export function collect(
  bytes: Uint8Array,
  flags: number,
  treatment: Treatment,
  known: Known | null,
  nested: boolean,
): Hit[] {
  const hits: Hit[] = [];
  const walk = new LeafWalk(bytes);
  const reader = new LeafReader(walk, treatment, known, flags, nested);
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
  readonly #flags: number;
  #context: boolean | null = null;
  #root: { readonly tree: unknown } | null = null;
  #namedAt = -2;
  #announced = false;
  #previous = { container: -1, start: 0, end: 0 };
  /** A private key began in the string before and has not ended. */
  #openKey = false;

  constructor(walk: LeafWalk, treatment: Treatment, known: Known | null, flags: number, nested: boolean) {
    this.#walk = walk;
    this.#treatment = treatment;
    this.#known = known;
    this.#words = (flags & WORDS) !== 0;
    this.#flags = flags;
    this.#nested = nested;
  }

  read(): Hit | null {
    const walk = this.#walk;
    if (walk.kind === 'number') {
      return walk.end - walk.start < 6 ? null : this.#readNumber();
    }
    const flags = features(walk.bytes, walk.start + 1, walk.end - 1);
    const announced = walk.kind === 'string' && this.#words && this.#isAnnounced();
    const hit =
      (flags !== 0 && this.#mayBeFound(flags)) || announced || this.#openKey || this.#known !== null
        ? this.#readString(flags)
        : null;
    if (walk.kind === 'string') this.#previous = { container: walk.container, start: walk.start, end: walk.end };
    return hit;
  }

  /** A bare number or a short run alone is read only when something in the document can say what it is. */
  #mayBeFound(flags: number): boolean {
    if (!isWeak(flags)) return true;
    this.#context ??= hasContext(this.#flags, this.#walk.bytes);
    return this.#context;
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
      return this.#whenFound(text, detect(text, flags, nameWith(this.#known), this.#treatment.rules, 'inner'));
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
    this.#root ??= { tree: treeOf(this.#walk.bytes.toString('utf8')) };
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

/** The bytes of a string that is itself a JSON object or array, else null: then it is read as any text. */
function embeddedJson(text: string): Uint8Array | null {
  if (!/^\s{0,8}[[{]/.test(text) || isDeep(text)) return null;
  try {
    JSON.parse(text);
    return Buffer.from(text);
  } catch {
    return null;
  }
}

/**
 * Deeper than a message may be. Each finding has a path: whoever nests as deep as he repeats would have us hold the
 * square of what he sent.
 */
function isDeep(json: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) inString = !inString;
    else if (inString) {
      if (code === BACKSLASH) at++;
    } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      if (++depth > DEFAULT_SCAN_LIMITS.maxDepth) return true;
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth--;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
