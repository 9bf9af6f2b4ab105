import { inert } from '../../controls/registry/index.ts';
import { leftOut, openFindings, type Review, type ReviewItem } from './registry-review.ts';

const MAX_PARAMETERS = 12;

/** A review in words: what the server offers, what is proposed for it and why, and what to look at. No terminal acts on it. */
export function inWords(review: Review): string {
  const served = review.items.filter((item) => leftOut(review, item) === null);
  const out = review.items.filter((item) => leftOut(review, item) !== null);
  const kinds = Map.groupBy(review.items, ({ kind }) => kind);
  const counts = [...kinds].map(([kind, items]) => `${items.length} ${kind}${items.length === 1 ? '' : 's'}`);
  const parts = [`${review.server} offers ${counts.join(', ') || 'nothing'}.`];
  if (served.length > 0) parts.push(`Proposed:\n\n${served.map(itemInWords).join('\n')}`);
  if (out.length > 0) parts.push(`Left out:\n\n${out.map((item) => outInWords(review, item)).join('\n')}`);
  if (review.notes.length > 0) parts.push(review.notes.map((note) => `note: ${note}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}

function itemInWords(item: ReviewItem): string {
  const head = `  ${item.kind.padEnd(9)} ${inert(item.name, 60).padEnd(36)} ${item.effect.padEnd(12)} ${item.scopes.map((scope) => inert(scope)).join(' ')}`;
  if (item.kind !== 'tool') return head;
  const limits = Object.entries(item.limits).map(([name, value]) => `${name} ${value}`);
  const lines = [saying(item), taking(item), `why ${item.effect}: ${item.reasons.join('; ')}`, limits.join(', ')];
  return [head, ...lines.filter(Boolean).map((line) => `            ${line}`)].join('\n');
}

function outInWords(review: Review, item: ReviewItem): string {
  const head = `  ${item.kind.padEnd(9)} ${inert(item.name, 60)}: ${inert(leftOut(review, item) ?? '', 300)}`;
  const findings = openFindings(review, item).map(
    ({ id, path, what }) => `            ${id}  ${inert(path) || '/'}: ${inert(what)}`,
  );
  return [head, ...findings].join('\n');
}

/** The first sentence it says of itself, quoted: these are its words, not ours. */
function saying({ definition }: ReviewItem): string {
  const text = definition['description'];
  if (typeof text !== 'string' || text.trim() === '') return '';
  const [first = ''] = text.trim().split(/(?<=[.!?])\s|\n/);
  return `“${inert(first, 120)}”`;
}

function taking({ definition }: ReviewItem): string {
  const schema = definition['inputSchema'] as { properties?: unknown; required?: unknown } | undefined;
  const properties = Object.entries((schema?.properties ?? {}) as Record<string, { type?: unknown } | null>);
  if (properties.length === 0) return 'takes nothing';
  const required = new Set(Array.isArray(schema?.required) ? schema.required : []);
  const named = properties.slice(0, MAX_PARAMETERS).map(([name, of]) => {
    const type = typeof of?.type === 'string' ? ` ${of.type}` : '';
    return `${inert(name, 40)}${inert(type, 20)}${required.has(name) ? '' : '?'}`;
  });
  return `takes ${named.join(', ')}${properties.length > MAX_PARAMETERS ? ', …' : ''}`;
}
