import type { Machine } from '../machine.ts';
import { spreadOf } from '../statistics.ts';
import { spreadText, table } from '../table.ts';
import type { RecoveryCell, VerifyCell, WriterCell } from './parts.ts';

export interface Figures {
  readonly started: string;
  readonly machine: Machine;
  readonly options: object;
  readonly writer: readonly WriterCell[];
  readonly verify: readonly VerifyCell[];
  readonly recovery: readonly RecoveryCell[];
  readonly problems: readonly string[];
  readonly seconds: number;
}

/** One line of the table. The goals are those of the design, judged on the median of the rounds. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly values: readonly number[];
  readonly digits: number;
  readonly goal: string;
  /** null: there is no goal. */
  readonly met: boolean | null;
}

const MB = 2 ** 20;
const numberOf = (value: number) => value.toLocaleString('en');

export function rowsOf({ writer, verify, recovery }: Figures): Row[] {
  return [...sustainedRows(writer), ...openRows(writer), ...verifyRows(verify), ...recoveryRows(recovery)];
}

function row(what: string, unit: string, values: readonly number[], digits = 0): Row {
  return { what, unit, values, digits, goal: '', met: null };
}

const atMost = (most: number, one: Row): Row => ({
  ...one,
  goal: `≤ ${numberOf(most)}`,
  met: spreadOf(one.values).median <= most,
});
const atLeast = (least: number, one: Row): Row => ({
  ...one,
  goal: `≥ ${numberOf(least)}`,
  met: spreadOf(one.values).median >= least,
});

function sustainedRows(writer: readonly WriterCell[]): Row[] {
  return groupsOf(writer.filter(({ perSecond }) => perSecond === 0)).flatMap(([{ tenants }, cells]) => {
    const of = figuresOf(`appends, sustained, ${tenantsOf(tenants)}`, cells);
    return [
      atLeast(
        10_000,
        of('', 'records/s', ({ records, durableSeconds }) => records / durableSeconds),
      ),
      of(': the last signed after', 's', (cell) => cell.signedSeconds - cell.durableSeconds, 2),
      of(': CPU', 'µs/record', (cell) => cell.cpuMicrosPerRecord, 1),
      of(': on disk', 'bytes/record', ({ bytes, records }) => bytes / records),
      of(': group', 'records', ({ records, commits }) => records / commits),
      of(': memory, peak', 'MiB', ({ peakRssBytes }) => peakRssBytes / MB),
    ];
  });
}

function openRows(writer: readonly WriterCell[]): Row[] {
  return groupsOf(writer.filter(({ perSecond }) => perSecond > 0)).flatMap(([{ perSecond, tenants }, cells]) => {
    const of = figuresOf(`${numberOf(perSecond)}/s, ${tenantsOf(tenants)}`, cells);
    const half = of(': durable, p50', 'ms', ({ ack }) => ack.p50, 2);
    return [
      perSecond === 1_000 ? atMost(1.5, half) : half,
      atMost(
        perSecond === 1_000 ? 8 : 10,
        of(': durable, p99', 'ms', ({ ack }) => ack.p99, 2),
      ),
      of(': handed over late, p99', 'ms', ({ lag }) => lag.p99, 2),
      of(': signed, p50', 'ms', ({ signed }) => signed.p50),
      atMost(
        1_000,
        of(': signed, p99', 'ms', ({ signed }) => signed.p99),
      ),
      of(': CPU', 'µs/record', (cell) => cell.cpuMicrosPerRecord, 1),
      of(': memory, peak', 'MiB', ({ peakRssBytes }) => peakRssBytes / MB),
    ];
  });
}

/** A row of the rounds' cells. */
function figuresOf(name: string, cells: readonly WriterCell[]) {
  return (what: string, unit: string, figure: (cell: WriterCell) => number, digits = 0): Row =>
    row(name + what, unit, cells.map(figure), digits);
}

function verifyRows(verify: readonly VerifyCell[]): Row[] {
  const sizes = [...new Set(verify.map(({ asked }) => asked))];
  const memory = (size: number) =>
    verify.filter(({ asked }) => asked === size).map(({ peakRssBytes }) => peakRssBytes / MB);
  return sizes.flatMap((size, i) => {
    const rates = verify.filter(({ asked }) => asked === size).map(({ records, seconds }) => records / seconds);
    const rate = row(`verify ${numberOf(size)} records`, 'records/s', rates);
    const peak = row(`verify ${numberOf(size)} records: memory, peak`, 'MiB', memory(size));
    // Starting up and warming up are most of a small log's time.
    const judged = size >= 100_000 ? atLeast(100_000, rate) : rate;
    if (i === 0) return [judged, peak];
    // Constant: not half as much again for ten times the log.
    const least = spreadOf(memory(sizes[i - 1]!)).median * 1.5;
    return [judged, { ...peak, goal: 'constant', met: spreadOf(peak.values).median <= least }];
  });
}

function recoveryRows(recovery: readonly RecoveryCell[]): Row[] {
  const tails = [...new Set(recovery.map(({ tail }) => tail))];
  return tails.flatMap((tail) => {
    const times = recovery.filter((cell) => cell.tail === tail).map(({ openedMs }) => openedMs / 1e3);
    const name = `open a log with ${numberOf(tail)} unsigned records`;
    if (tail >= 1_000_000) return [atMost(5, row(name, 's', times, 2))];
    if (tail < 100_000) return [row(name, 's', times, 2)];
    const scaled = times.map((time) => (time * 1_000_000) / tail);
    return [row(name, 's', times, 2), atMost(5, row(`${name}, × ${numberOf(1_000_000 / tail)}`, 's', scaled, 2))];
  });
}

function groupsOf(cells: readonly WriterCell[]): [WriterCell, WriterCell[]][] {
  const groups = new Map<string, WriterCell[]>();
  for (const cell of cells) {
    const key = `${cell.perSecond} ${cell.tenants}`;
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  return [...groups.values()].map((group) => [group[0]!, group]);
}

function tenantsOf(tenants: number): string {
  return tenants === 1 ? '1 tenant' : `${tenants} tenants`;
}

/** The whole report for a terminal. */
export function reportOf(figures: Figures): string {
  const { machine, started, seconds, writer, problems } = figures;
  const { cpu, cores, memoryMb, node, system, disk, commit } = machine;
  const rows = rowsOf(figures).map(({ what, unit, values, digits, goal, met }) => [
    what,
    unit,
    spreadText(values, digits),
    goal,
    met === null ? '' : met ? 'met' : 'missed',
  ]);
  const disturbed = writer.filter(({ otherCores }) => otherCores > DISTURBED).length;
  const sections = [
    `Gatewrit audit bench, ${started}, commit ${commit}, ${Math.round(seconds)} s\n` +
      `${cpu}, ${cores} cores, ${Math.round(memoryMb / 1024)} GiB, ${system}, journal on ${disk}, Node ${node}`,
    table(['what', 'unit', 'median [range of rounds]', 'goal', ''], rows),
    'A record is an intent by the stage of the pipeline, about 2 KiB on disk, durable (fdatasync) when acknowledged.\n' +
      'Open loop: Poisson arrivals from another process; times run from the moment a record was due, never from when it was\n' +
      'handed over. Every log was verified afterwards. Files were in the page cache when verified and recovered.',
  ];
  if (disturbed > 0)
    sections.push(
      `DISTURBED: something else was busy during ${disturbed} of ${writer.length} measurements of the writer: look at the ranges.`,
    );
  if (problems.length > 0) sections.push(`WRONG:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  return `${sections.join('\n\n')}\n`;
}

/** Cores. Arrivals and this bench themselves use some. */
const DISTURBED = 0.2;
