import type { OpenRecord } from '../../controls/audit/index.ts';

/** What a method is called in policy. Tasks and completions are judged by the rules of their target. */
const ACTIONS: Readonly<Record<string, string>> = {
  'tools/call': 'call_tool',
  'prompts/get': 'get_prompt',
  'resources/read': 'read_resource',
};
/** With more people than this a rule names nobody: whoever holds the scopes. */
const NAMED_PEOPLE = 20;

/** What was seen of one target. */
export interface Seen {
  readonly target: string;
  readonly action: string;
  /** Calls that went through, those that only observe mode let through included. */
  calls: number;
  /** Subjects by issuer. */
  readonly people: Map<string, Set<string>>;
  /** Subjects by calls for which a scope was missing. */
  readonly lacked: Map<string, number>;
  /** Subjects by calls that a rule denied, or would have; and what rules took part. */
  readonly denied: Map<string, number>;
  readonly rules: Set<string>;
}

export interface Observed {
  readonly seen: readonly Seen[];
  /** ms UTC of the first and last record; null when there is none. */
  readonly span: readonly [from: number, to: number] | null;
  /** How often each code would have been refused, had no control been in observe mode. */
  readonly wouldRefuse: ReadonlyMap<string, number>;
}

/** Reads records for what people did: intents, and refusals by policy where it was enforced. */
export function observed(records: Iterable<OpenRecord>): Observed {
  const targets = new Map<string, Seen>();
  const wouldRefuse = new Map<string, number>();
  let span: [number, number] | null = null;
  for (const { envelope, meta } of records) {
    if (!meta) continue;
    const codes = String(meta['would_refuse'] ?? '')
      .split(' ')
      .filter(Boolean);
    for (const code of codes) count(wouldRefuse, code);
    const action = ACTIONS[String(meta['method'])];
    const code = String(meta['code'] ?? '');
    const refused = code.startsWith('authorization.') ? code : '';
    if (action === undefined || meta['target'] === undefined || (envelope.kind !== 'intent' && refused === ''))
      continue;
    span = [Math.min(span?.[0] ?? envelope.t_ms, envelope.t_ms), Math.max(span?.[1] ?? 0, envelope.t_ms)];
    note(seenOf(targets, action, String(meta['target'])), meta, [...codes, refused]);
  }
  const seen = [...targets.values()].sort((a, b) => (a.target < b.target ? -1 : 1));
  return { seen, span, wouldRefuse };
}

function seenOf(targets: Map<string, Seen>, action: string, target: string): Seen {
  const key = `${action} ${target}`;
  const known = targets.get(key);
  if (known) return known;
  const seen = {
    target,
    action,
    calls: 0,
    people: new Map(),
    lacked: new Map(),
    denied: new Map(),
    rules: new Set<string>(),
  };
  targets.set(key, seen);
  return seen;
}

function note(seen: Seen, meta: Readonly<Record<string, unknown>>, codes: readonly string[]): void {
  const [subject, issuer] = [String(meta['subject']), String(meta['issuer'])];
  if (codes.includes('authorization.denied')) {
    count(seen.denied, subject);
    for (const rule of (meta['rules'] as string[] | undefined) ?? []) seen.rules.add(rule);
    return;
  }
  if (codes.includes('authorization.insufficient_scope')) count(seen.lacked, subject);
  seen.calls++;
  const people = seen.people.get(issuer) ?? new Set();
  seen.people.set(issuer, people.add(subject));
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Cedar that permits what was seen and nothing else. What was denied stands in it as a comment, for a person to decide. */
export function cedarOf({ seen, span }: Observed): string {
  const ids = new Set<string>();
  const calls = seen.reduce((sum, one) => sum + one.calls, 0);
  const [from, to] = (span ?? [0, 0]).map((ms) => new Date(ms).toISOString());
  const head = `// Drafted by gatewrit policy draft from ${calls} calls between ${from} and ${to}. Nobody has reviewed it yet.
// Each rule permits one target to the people who were seen using it, with every scope the operation names.
// 1. Read every rule; take out what should not go on.
// 2. Put this file into the policy folder in place of the wider rules it replaces: gatewrit policy lint
// 3. Set authorization.mode to enforce.
`;
  return [head, ...seen.map((one) => ruleText(one, ids))].join('\n');
}

function ruleText(seen: Seen, ids: Set<string>): string {
  const { target, action, calls, people, lacked, denied, rules } = seen;
  const lines: string[] = [];
  for (const [subject, times] of lacked)
    lines.push(`// ${inert(subject)} lacked a scope in ${plural(times)}: refused until the issuer gives it.`);
  for (const [subject, times] of denied) {
    const by = rules.size > 0 ? ` by ${[...rules].map(inert).join(', ')}` : '';
    lines.push(`// ${inert(subject)}: ${plural(times)} denied${by}. No rule is written for it.`);
  }
  if (calls === 0) return [`// ${inert(target)}: nothing that was allowed was seen.`, ...lines, ''].join('\n');
  const many = [...people.values()].reduce((sum, some) => sum + some.size, 0);
  lines.push(
    `@id("${idOf(`seen-${action}-${target}`, ids)}")`,
    `@description("${plural(calls)} by ${many} ${many === 1 ? 'person' : 'people'}.")`,
    `permit (principal, action == Action::"${action}", resource == Target::${text(target)})`,
    'when {',
    ...(many > NAMED_PEOPLE ? [] : [`  (${[...people].map(whoText).join(' ||\n   ')}) &&`]),
    '  !resource.scopes.isEmpty() && principal.scopes.containsAll(resource.scopes)',
    '};',
    '',
  );
  return lines.join('\n');
}

function whoText([issuer, subjects]: readonly [string, ReadonlySet<string>]): string {
  return `(principal.issuer == ${text(issuer)} && [${[...subjects].sort().map(text).join(', ')}].contains(principal.subject))`;
}

function idOf(wanted: string, taken: Set<string>): string {
  const base = wanted
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 80)
    .replace(/-$/, '');
  let id = base;
  for (let n = 2; taken.has(id); n++) id = `${base}-${n}`;
  taken.add(id);
  return id;
}

const plural = (n: number) => `${n} ${n === 1 ? 'call' : 'calls'}`;
/** A Cedar string: what names hold is not ours. */
const text = (value: string) => `"${inert(value.replaceAll('\\', '\\\\').replaceAll('"', '\\"'))}"`;

/** Neither ends a comment nor steers a terminal. */
function inert(value: string): string {
  return value.replaceAll(/[^\x20-\x7e]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}
