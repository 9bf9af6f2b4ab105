import { type Spread, spreadOf } from './statistics.ts';

/** A table for a terminal: the first columns to the left, figures to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], left = 2): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** `median [min–max]`, or a dash when nothing was measured. */
export function spreadText(values: readonly number[], digits = 0): string {
  if (values.length === 0) return '–';
  const { median, min, max }: Spread = spreadOf(values);
  const text = (value: number) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return values.length === 1 ? text(median) : `${text(median)} [${text(min)}–${text(max)}]`;
}

export function percent(value: number): string {
  return `${Math.round(value * 100)} %`;
}
