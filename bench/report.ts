import type { Machine } from './machine.ts';
import { type Cell, labelOf, type Shape } from './measure.ts';
import type { HeapSampled, Profiled, StagesMeasured } from './parts.ts';
import { spreadOf } from './statistics.ts';
import { DIRECT, GATEWAY, GATEWAY_OTHER, GATEWAY_TLS, RELAY, RELAY_RECORDS, RELAY_TLS, relayOf } from './systems.ts';
import { percent, spreadText, table } from './table.ts';

/** Everything one run found; kept as JSON. */
export interface Figures {
  readonly started: string;
  readonly machine: Machine;
  readonly pinning: string;
  readonly options: object;
  readonly closed: readonly Cell[];
  readonly open: readonly Cell[];
  readonly stages: readonly StagesMeasured[];
  readonly variants: readonly Cell[];
  readonly leftOut: readonly string[];
  readonly profile: Profiled | null;
  readonly heap: HeapSampled | null;
  readonly problems: readonly string[];
  readonly seconds: number;
}

/** What issue and design ask for, judged on the median of the rounds, plain HTTP. */
export interface Verdict {
  readonly kind: 'bound' | 'aim';
  readonly text: string;
  readonly met: boolean;
}

const ASKED = [
  { kind: 'bound', what: 'CPU ÷ relay', connections: 100, of: cpuRatios, most: 3 },
  { kind: 'aim', what: 'CPU ÷ relay', connections: 100, of: cpuRatios, most: 2 },
  { kind: 'aim', what: 'rate ÷ relay', connections: 100, of: rateRatios, least: 0.5 },
  { kind: 'aim', what: 'rate ÷ relay', connections: 16, of: rateRatios, least: 0.35 },
] as const;

export function verdictsOf({ closed }: Figures): Verdict[] {
  return ASKED.flatMap((asked): Verdict[] => {
    const ratios = asked.of(closed, GATEWAY, { loop: 'closed', connections: asked.connections });
    if (ratios.length === 0) return [];
    const { median, min, max } = spreadOf(ratios);
    const met = 'most' in asked ? median <= asked.most : median >= asked.least;
    const wanted = 'most' in asked ? `≤ ${asked.most}` : `≥ ${asked.least}`;
    const text = `${asked.what} at ${asked.connections} connections ${wanted}: ${median.toFixed(2)} [${min.toFixed(2)}–${max.toFixed(2)}]`;
    return [{ kind: asked.kind, text, met }];
  });
}

/** The whole report for a terminal. */
export function reportOf(figures: Figures): string {
  const { machine, pinning, started, seconds } = figures;
  const { cpu, cores, memoryMb, node, system, disk, commit } = machine;
  const sections = [
    `Gatewrit bench, ${started}, commit ${commit}, ${Math.round(seconds)} s\n` +
      `${cpu}, ${cores} cores, ${Math.round(memoryMb / 1024)} GiB, ${system}, journal on ${disk}, Node ${node}\n${pinning}`,
    'Every gateway below runs all ten controls with a durable audit record before and after each call. What hits a cache:\n' +
      'the 8 tokens (8 callers), visibility and decision (the default policy reads no argument), the compiled schema.\n' +
      'What never does: message, id, nonce, arguments, their digest, redaction, both records. No call equals another.',
    disturbance(figures),
    closedTable(figures.closed),
    againstOther(figures.closed),
    openTable(figures.open),
    ...(figures.stages.length > 0 ? [stageTable(figures.stages)] : []),
    ...(figures.variants.length > 0 ? [variantTable(figures.variants, figures.leftOut)] : []),
    ...(figures.profile ? [profileTable(figures.profile)] : []),
    ...(figures.heap ? [heapTable(figures.heap)] : []),
    verdictsOf(figures)
      .map(({ kind, text, met }) => `${met ? 'met   ' : 'MISSED'}  ${kind.padEnd(5)}  ${text}`)
      .join('\n'),
    figures.problems.length === 0
      ? 'Every answer was 200 with its nonce, and the upstream counted every call.'
      : `FAILED:\n${figures.problems.join('\n')}`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

/** Says so when something else had the machine: then rates, times and ranges mean little, CPU per call still something. */
function disturbance({ closed, open, variants }: Figures): string {
  const cells = [...closed, ...open, ...variants];
  if (cells.length === 0) return '';
  const { median, max } = spreadOf(cells.map((cell) => cell.others));
  if (median <= 0.1) return '';
  return `DISTURBED: other programs used ${percent(median)} of a core (median; at most ${percent(max)}) while this ran. Do not quote it.`;
}

function closedTable(cells: readonly Cell[]): string {
  if (cells.length === 0) return '';
  const head = [
    'closed loop',
    'system',
    'calls/s',
    'CPU µs/call',
    'main thread',
    'rate ÷ relay',
    'CPU ÷ relay',
    'p50 ms',
    'p99 ms',
    'RSS MB',
    'busy',
    'rest busy',
    'others',
  ];
  const rows = each(cells, (these, system, shape) => [
    labelOf(shape),
    system,
    spreadText(these.map((cell) => cell.callsPerSecond)),
    spreadText(these.map((cell) => cell.cpuMicrosPerCall)),
    spreadText(these.map((cell) => cell.mainMicrosPerCall)),
    spreadText(rateRatios(cells, system, shape), 2),
    spreadText(cpuRatios(cells, system, shape), 2),
    spreadOf(these.map((cell) => cell.latency.p50)).median.toFixed(2),
    spreadOf(these.map((cell) => cell.latency.p99)).median.toFixed(1),
    spreadText(these.map((cell) => cell.rssMb)),
    percent(spreadOf(these.map((cell) => cell.busy)).median),
    percent(spreadOf(these.map((cell) => cell.restBusy)).median),
    percent(spreadOf(these.map((cell) => cell.others)).median),
  ]);
  return (
    `${table(head, rows)}\n` +
    'median [min–max] of the rounds; ratios are taken inside a round, against the relay that speaks the same (plain or TLS).\n' +
    'busy, rest busy: share of one core used by the system, by upstream and load; a system below about 95 % was not driven\n' +
    'to its end, and its rate says less than its CPU. others: cores used by whatever else ran on this machine.\n' +
    'Plain HTTP for gatewrit exists only in this bench: the same handler on node:http. The product speaks TLS 1.3 only.'
  );
}

function openTable(cells: readonly Cell[]): string {
  if (cells.length === 0) return '';
  const head = ['open loop', 'system', 'p50 ms', 'p95 ms', 'p99 ms', 'added p50 ms', 'CPU µs/call', 'sent late p99 ms'];
  const rows = each(cells, (these, system, shape) => [
    labelOf(shape),
    system,
    ...(['p50', 'p95', 'p99'] as const).map((p) =>
      spreadText(
        these.map((cell) => cell.latency[p]),
        2,
      ),
    ),
    spreadText(
      againstRelay(cells, system, shape, (cell, relay) => cell.latency.p50 - relay.latency.p50),
      2,
    ),
    spreadText(these.map((cell) => cell.cpuMicrosPerCall)),
    spreadOf(these.map((cell) => cell.lagP99)).median.toFixed(1),
  ]);
  return `${table(head, rows)}\nPoisson arrivals; a call waits for a free connection on its own time. How late the generator sent is not in it.`;
}

function stageTable(measured: readonly StagesMeasured[]): string {
  const head = ['stage', ...measured.flatMap(({ shape }) => [`${labelOf(shape)}: own µs`, 'waiting µs'])];
  const names = measured[0]!.stages.map((stage) => stage.name);
  const per = (ms: number, calls: number) => (calls === 0 ? '–' : ((ms * 1000) / calls).toFixed(1));
  const rows = names.map((name, i) => [
    name,
    ...measured.flatMap(({ stages }) => [
      per(stages[i]!.syncMs, stages[i]!.calls),
      stages[i]!.waitMs > 0 ? per(stages[i]!.waitMs, stages[i]!.calls) : '',
    ]),
  ]);
  const own = ({ stages }: StagesMeasured) =>
    stages.reduce((sum, { syncMs, calls }) => sum + (syncMs * 1000) / Math.max(1, calls), 0);
  const sums = ['all stages', ...measured.flatMap((one) => [own(one).toFixed(1), ''])];
  const outside = [
    'outside the stages',
    ...measured.flatMap((one) => [(one.cpuMicrosPerCall - own(one)).toFixed(1), '']),
  ];
  return (
    `${table(head, [...rows, sums, outside], 1)}\n` +
    'own: time on the loop until the stage returned; waiting: from then until its promise settled, other calls run meanwhile.\n' +
    'outside: the rest of the CPU of this (timed) gateway per call: HTTP both ways, group commits and trees, garbage, compiler.'
  );
}

function variantTable(cells: readonly Cell[], leftOut: readonly string[]): string {
  const head = ['100 connections', '', 'calls/s', 'CPU µs/call', 'CPU − all controls'];
  const rows = each(cells, (these, system) => {
    const base = cells.filter((cell) => cell.system === GATEWAY);
    const saved = these.map(
      (cell) => cell.cpuMicrosPerCall - base.find(({ round }) => round === cell.round)!.cpuMicrosPerCall,
    );
    return [
      system === GATEWAY ? 'all controls' : `with ${system}`,
      '',
      spreadText(these.map((cell) => cell.callsPerSecond)),
      spreadText(these.map((cell) => cell.cpuMicrosPerCall)),
      system === GATEWAY ? '' : spreadText(saved),
    ];
  });
  return `${table(head, rows)}\nleft out: ${leftOut.join('\n          ')}`;
}

function profileTable({ file, cell, spent }: Profiled): string {
  const ranked = (title: string, shares: Profiled['spent']['functions']) =>
    table(
      ['share', title],
      shares.slice(0, 30).map(({ name, share }) => [`${(share * 100).toFixed(1)} %`, name]),
    );
  return [
    `Main thread at 100 connections (${Math.round(cell.cpuMicrosPerCall)} µs/call under the profiler; ${file})`,
    ranked('self time by function', spent.functions),
    ranked('self time and built-ins it called', spent.charged),
    ranked('the same by folder', spent.folders),
  ].join('\n\n');
}

function heapTable({ file, cell, allocated }: HeapSampled): string {
  const ranked = (title: string, sizes: HeapSampled['allocated']['functions']) =>
    table(
      ['bytes', title],
      sizes.slice(0, 60).map(({ name, bytesPerCall }) => [bytesPerCall.toFixed(0), name]),
    );
  return [
    `Heap allocated per call at 100 connections: ${allocated.total.toFixed(0)} bytes, sampled over ${cell.calls} calls (${file})`,
    ranked('by function', allocated.functions),
    ranked('with built-ins it called', allocated.charged),
    ranked('the same by folder', allocated.folders),
  ].join('\n\n');
}

/** One row for each shape and system, in the order they stand in the docs. */
function each(
  cells: readonly Cell[],
  row: (these: readonly Cell[], system: string, shape: Shape) => string[],
): string[][] {
  const shapes = [...new Map(cells.map((cell) => [labelOf(cell.shape), cell.shape])).values()];
  const order = [DIRECT, RELAY, RELAY_RECORDS, GATEWAY_OTHER, GATEWAY, RELAY_TLS, GATEWAY_TLS];
  const systems = [...new Set(cells.map((cell) => cell.system))];
  systems.sort((a, b) => ((order.indexOf(a) + 9) % 10) - ((order.indexOf(b) + 9) % 10));
  return shapes.flatMap((shape) =>
    systems.map((system) =>
      row(
        cells.filter((cell) => cell.system === system && same(cell.shape, shape)),
        system,
        shape,
      ),
    ),
  );
}

const same = (a: Shape, b: Shape) => labelOf(a) === labelOf(b);

function rateRatios(cells: readonly Cell[], system: string, shape: Shape): number[] {
  return againstRelay(cells, system, shape, (cell, relay) => cell.callsPerSecond / relay.callsPerSecond);
}

function cpuRatios(cells: readonly Cell[], system: string, shape: Shape): number[] {
  return againstRelay(cells, system, shape, (cell, relay) => cell.cpuMicrosPerCall / relay.cpuMicrosPerCall);
}

/** This checkout's gateway beside the other's, round by round. */
function againstOther(cells: readonly Cell[]): string {
  const ratios = (of: (cell: Cell) => number) =>
    cells
      .filter(({ system }) => system === GATEWAY)
      .flatMap((cell) => {
        const other = cells.find((one) => one.system === GATEWAY_OTHER && one.round === cell.round);
        return other ? [of(cell) / of(other)] : [];
      });
  const cpu = ratios((cell) => cell.cpuMicrosPerCall);
  if (cpu.length === 0) return '';
  const main = ratios((cell) => cell.mainMicrosPerCall);
  return `this gateway ÷ the other: CPU ${spreadText(cpu, 2)}, main thread ${spreadText(main, 2)}`;
}

/** One figure for each round, against the relay in the same round; none for a relay itself. */
function againstRelay(
  cells: readonly Cell[],
  system: string,
  shape: Shape,
  of: (cell: Cell, relay: Cell) => number,
): number[] {
  if (system === RELAY || system === RELAY_TLS) return [];
  const these = cells.filter((cell) => cell.system === system && same(cell.shape, shape));
  return these.flatMap((cell) => {
    const relay = cells.find(
      (other) => other.system === relayOf(system) && other.round === cell.round && same(other.shape, shape),
    );
    return relay ? [of(cell, relay)] : [];
  });
}
