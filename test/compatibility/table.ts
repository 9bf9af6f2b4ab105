import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Row } from './run.ts';

const DOCUMENT = join(import.meta.dirname, '../../docs/compatibility.md');
const BEGIN = '<!-- begin: written by test/compatibility/main.ts -->';
const END = '<!-- end -->';

const HEAD = [
  'server',
  'version',
  'tools',
  'listed',
  'findings',
  'calls',
  'served',
  'withheld',
  'redacted',
  'refused',
  'altered',
];

/** Of one server, in the report. */
const SHOWN = 10;

export interface Sums {
  readonly servers: number;
  readonly calls: number;
  readonly served: number;
  readonly withheld: number;
  readonly redacted: number;
  readonly refused: number;
  readonly altered: number;
}

export function sums(rows: readonly Row[]): Sums {
  const outcomes = rows.flatMap((row) => row.outcomes);
  const count = (kind: string) => outcomes.filter((outcome) => outcome.kind === kind).length;
  return {
    ...{ servers: rows.filter(({ registered }) => registered.left === null).length, calls: outcomes.length },
    ...{
      served: count('served'),
      withheld: count('withheld'),
      redacted: count('redacted'),
      refused: count('refused'),
      altered: count('altered'),
    },
  };
}

function cells(rows: readonly Row[]): string[][] {
  return rows.map((row) => {
    const { calls, served, withheld, redacted, refused, altered } = sums([row]);
    const { server, tools, registered } = row;
    const counted = [
      tools.direct,
      tools.through,
      registered.findings.length,
      calls,
      served,
      withheld,
      redacted,
      refused,
      altered,
    ];
    return [server.package, server.version, ...counted.map(String)];
  });
}

/** Everything, to read in a terminal: the table, then what went otherwise than directly. */
export function report(rows: readonly Row[]): string {
  const table = [HEAD, ...cells(rows)];
  const width = HEAD.map((_, at) => Math.max(...table.map((row) => row[at]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, at) => cell.padEnd(width[at]!))
      .join('  ')
      .trimEnd(),
  );
  for (const { server, registered, outcomes, useless } of rows) {
    if (registered.left) lines.push(`NOT REGISTERED ${server.name}: ${registered.left}`);
    for (const finding of registered.findings) lines.push(`finding  ${finding}`);
    for (const call of useless) lines.push(`USELESS  ${server.name}: ${call}`);
    for (const outcome of outcomes.filter(({ kind }) => kind !== 'served').slice(0, SHOWN)) {
      if (outcome.kind === 'served') continue;
      const { tool, arguments: given } = outcome.call;
      lines.push(`${outcome.kind}  ${server.name} ${tool} ${JSON.stringify(given).slice(0, 200)}: ${outcome.what}`);
    }
  }
  const { servers, calls, served, withheld, redacted, refused, altered } = sums(rows);
  lines.push(
    `${servers} servers, ${calls} calls: ${served} served, ${withheld} withheld, ${redacted} redacted, ${refused} refused, ${altered} altered`,
  );
  return `\n${lines.join('\n')}\n`;
}

/** Renews the marked part of docs/compatibility.md. */
export function writeDocument(rows: readonly Row[]): void {
  const document = readFileSync(DOCUMENT, 'utf8');
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`the marks are gone from ${DOCUMENT}`);
  writeFileSync(DOCUMENT, `${before}${BEGIN}\n\n${generated(rows)}\n${END}${after}`);
}

function generated(rows: readonly Row[]): string {
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  const { servers, calls, served, withheld, redacted, refused, altered } = sums(rows);
  return [
    line(HEAD),
    line(HEAD.map((_, at) => (at < 2 ? '---' : '--:'))),
    ...cells(rows).map(line),
    '',
    `Together: ${servers} servers, ${calls} calls, ${served} served as they were, ${withheld} errors withheld, ${redacted} redacted as intended, ${refused} refused, ${altered} altered.`,
    '',
  ].join('\n');
}
