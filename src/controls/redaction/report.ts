import type { Finding } from '../../core/call.ts';
import { pointer } from '../../core/mcp/leaves.ts';
import { detect, featuresOf } from './detect.ts';
import { replaceIn } from './replace.ts';
import type { Treatment } from './treatment.ts';
import { type Found, type Known, nameWith } from './types.ts';

/** A record of every value in a table of thousands helps nobody and fills the log: the rest is counted per type. */
const MAX_FINDINGS = 200;
const MAX_PATH = 256;

/** Collects findings; their paths never show a value either. */
export class Report {
  readonly #treatment: Treatment;
  readonly #known: Known | null;
  readonly #findings: Finding[] = [];
  readonly #more = new Map<string, { finding: Finding; count: number }>();
  readonly #names = new Map<string, string>();
  readonly secrets = new Set<string>();
  /** Members of the document's root in which something was replaced, however many findings are listed. */
  readonly changed = new Set<string | number>();
  blocked: Finding | null = null;

  /** @param known what the document itself gave away: not even a path shows it */
  constructor(treatment: Treatment, known: Known | null) {
    this.#treatment = treatment;
    this.#known = known;
  }

  add(found: Found, segments: readonly (string | number)[]): Finding['action'] {
    const wanted = this.#treatment.action(found, segments);
    const action = found.quiet === true ? 'reported' : wanted;
    if (found.type === 'GENERIC_SECRET') this.secrets.add(found.value);
    if (action === 'replaced' || action === 'masked') this.changed.add(segments[0] ?? '');
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
    const found = detect(name, featuresOf(name), nameWith(this.#known), this.#treatment.rules, 'inner');
    const clean =
      replaceIn(name, found, this.#treatment, (one) => (one.quiet === true ? 'reported' : 'replaced')) ?? name;
    this.#names.set(name, clean);
    return clean;
  }
}
