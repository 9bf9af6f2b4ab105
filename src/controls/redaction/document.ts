import type { Finding } from '../../core/call.ts';
import { editLeaves, type LeafEdit, LeafWalk } from '../../core/mcp/leaves.ts';
import { isSecret } from './detect.ts';
import { features } from './features.ts';
import { isPromising } from './gate.ts';
import { KnownSecrets } from './known-secrets.ts';
import { collect, type Hit } from './leaf-reader.ts';
import { replaceIn } from './replace.ts';
import { Report } from './report.ts';
import type { Treatment } from './treatment.ts';
import type { Found, Known } from './types.ts';

export interface Scanned {
  /** The same object when nothing was replaced. */
  readonly bytes: Uint8Array;
  readonly findings: readonly Finding[];
  /** First finding whose action is to block. */
  readonly blocked: Finding | null;
  /** Values found as GENERIC_SECRET, for the residual check only. */
  readonly secrets: ReadonlySet<string>;
  /** Members of the root in which something was replaced. */
  readonly changed: ReadonlySet<string | number>;
}

const NOTHING = { findings: [], blocked: null, secrets: new Set<string>(), changed: new Set<string>() } as const;

/** What a document may hold, as flags; 0, and most are: nothing can be found in it, and it need not be scanned. */
export function promiseOf(bytes: Uint8Array): number {
  const flags = features(bytes, 0, bytes.length);
  return isPromising(flags, bytes) ? flags : 0;
}

/**
 * One JSON document: found, reported, replaced. Bytes MUST be valid JSON.
 * @param flags what promiseOf() said of it
 */
export function scanDocument(bytes: Uint8Array, treatment: Treatment, flags = promiseOf(bytes)): Scanned {
  if (flags === 0) return { bytes, ...NOTHING };
  let hits = collect(bytes, flags, treatment, null, false);
  // What one leaf called a phone number or password may stand without that word in another: the text beside the
  // structured result (dlp.md pitfall 1). Such values are looked for once more, everywhere.
  const known = knownValues(hits);
  if (known !== null) hits = collect(bytes, flags, treatment, known, false);
  if (hits.length === 0) return { bytes, ...NOTHING };
  const report = new Report(treatment, known);
  const settled = settle(bytes, hits, treatment, report, []);
  const { blocked, secrets, changed } = report;
  return { bytes: settled, findings: report.list(), blocked, secrets, changed };
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
  return digits.size + secrets.size === 0 ? null : { digits, secrets: new KnownSecrets(secrets) };
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
  if (renamed.length > 0) for (const edit of distinctKeys(bytes, renamed)) edits.push(edit);
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

/** Two names of one object may become the same token: later ones get a number, so that the object keeps its members. */
function distinctKeys(bytes: Uint8Array, renamed: readonly { hit: Hit; value: string }[]): LeafEdit[] {
  const objects = new Map<number, Set<string>>(renamed.map(({ hit }) => [hit.container, new Set<string>()]));
  const changed = new Set(renamed.map(({ hit }) => hit.span.start));
  const walk = new LeafWalk(bytes);
  while (walk.next()) {
    if (walk.kind === 'key' && !changed.has(walk.start)) objects.get(walk.container)?.add(walk.text());
  }
  // Goes on where it stopped for the same token: who sends one address in ten thousand spellings must not make us begin anew.
  const counts = new Map<string, number>();
  return renamed.map(({ hit, value }) => {
    const taken = objects.get(hit.container)!;
    const place = `${hit.container} ${value}`;
    let name = value;
    let count = counts.get(place) ?? 2;
    for (; taken.has(name); count++) name = `${value}~${count}`;
    counts.set(place, count);
    taken.add(name);
    return { span: hit.span, value: name };
  });
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
