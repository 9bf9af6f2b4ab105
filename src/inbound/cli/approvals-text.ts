/** The admin API's answers as text for a terminal. */

export interface SummaryJson {
  readonly id: string;
  readonly state: string;
  readonly target: string;
  readonly effect: string;
  readonly rule: string;
  readonly quorum: number;
  readonly askedAt: number;
  readonly decideBy: number;
  readonly digest: string;
  readonly phrase: string;
  readonly subject?: string;
  readonly client?: string;
  readonly yours?: boolean;
}

interface ValueJson {
  readonly path: string;
  readonly type: string;
  readonly text: string;
  readonly tail: string;
  readonly hidden: number;
  readonly marks: readonly string[];
}

export interface CardJson extends SummaryJson {
  readonly votes?: number;
  readonly card: {
    readonly server: string;
    readonly name: string;
    readonly resource: string;
    readonly definition: string;
    readonly asker: { subject: string; issuer: string; client: string; actors: readonly string[] };
    readonly arguments: readonly ValueJson[];
    readonly meta: readonly ValueJson[];
    readonly omitted: number;
    readonly uninspectable: boolean;
    readonly before: string | null;
  } | null;
}

/** The server sends inert text; a terminal obeys control characters, so what reaches it is checked again here. */
function safe(text: unknown): string {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export function tableText({ approvals, more }: { approvals: readonly SummaryJson[]; more: number }): string {
  if (approvals.length === 0) return 'Nothing waits for you.\n';
  const head = ['ID', 'CALL', 'EFFECT', 'ASKED BY', 'CLIENT', 'DECIDE BY', 'PHRASE'];
  const rows = approvals.map((each) => [
    each.id,
    each.target,
    each.effect,
    `${each.subject ?? ''}${each.yours === false ? ' (you cannot decide)' : ''}`,
    each.client || '-',
    time(each.decideBy),
    each.phrase,
  ]);
  const lines = [head, ...rows].map((row) => row.map(safe));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return `${table.join('\n')}\n${more > 0 ? `… and ${more} more\n` : ''}`;
}

export function cardText(shown: CardJson): string {
  const { card } = shown;
  const lines = [
    [
      'approval',
      `${shown.id}  (${shown.state}${shown.votes === undefined ? '' : `, ${shown.votes} of ${shown.quorum} approved`})`,
    ],
    ['call', `${shown.target}  effect: ${shown.effect}`],
  ];
  if (card?.resource) lines.push(['resource', card.resource]);
  if (card)
    lines.push(['asked by', `${card.asker.subject} at ${card.asker.issuer}, client ${card.asker.client || '-'}`]);
  for (const actor of card?.asker.actors ?? []) lines.push(['acting', actor]);
  lines.push(['rule', `${shown.rule}, needs ${shown.quorum}`]);
  lines.push(['asked at', time(shown.askedAt)], ['decide by', time(shown.decideBy)]);
  lines.push(['digest', `${shown.digest}  ${shown.phrase}`]);
  const text = lines.map(([name, value]) => `${name!.padEnd(10)} ${safe(value)}\n`).join('');
  if (!card) return `${text}\nYour own call: another person decides.\n`;
  return `${text}${warnings(card)}\narguments\n${valuesText(card.arguments)}${card.meta.length > 0 ? `sent along in _meta\n${valuesText(card.meta)}` : ''}`;
}

function warnings(card: NonNullable<CardJson['card']>): string {
  const list: string[] = [];
  if (card.uninspectable)
    list.push('UNINSPECTABLE: parts below are cut, hidden or drawn like something else. When in doubt, deny.');
  if (card.omitted > 0) list.push(`${card.omitted} further values are not shown.`);
  if (card.before === 'consumed' || card.before === 'unknown') {
    list.push('The same call was approved before and nobody knows what came of it: it may have run already.');
  } else if (card.before) list.push(`Asked before; that request was ${safe(card.before)}.`);
  return list.map((line) => `\n! ${line}\n`).join('');
}

function valuesText(values: readonly ValueJson[]): string {
  if (values.length === 0) return '  (none)\n';
  return values
    .map((value) => {
      const end = value.hidden > 0 ? ` … ${value.hidden} characters not shown … ${quoted(value.type, value.tail)}` : '';
      const marks = value.marks.length > 0 ? `  [${value.marks.map(safe).join(', ')}]` : '';
      return `  ${safe(value.path)} = ${quoted(value.type, value.text)}${end}${marks}\n`;
    })
    .join('');
}

/** A text that holds quotes cannot end its own quotes and go on in our voice. */
function quoted(type: string, text: string): string {
  return type === 'string' ? `"${safe(text).replaceAll('"', '\\"')}"` : safe(text);
}
