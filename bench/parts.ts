import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Allocation, allocatedIn } from './heap.ts';
import { type Cell, labelOf, type Meter, type Shape, type System } from './measure.ts';
import type { Options } from './options.ts';
import { type Spent, spentIn } from './profile.ts';
import { VARIANTS } from './settings.ts';
import type { StageTimes } from './stage-watch.ts';
import { DIRECT, MEMORY_FOLDER, RELAY, RELAY_TLS, type Systems } from './systems.ts';

/** What every part of a run works with. */
export interface Bench {
  readonly options: Options;
  readonly systems: Systems;
  readonly meter: Meter;
  /** Folder of what a run leaves behind. */
  readonly out: string;
  readonly root: string;
  readonly say: (progress: string) => void;
}

const CLOSED: readonly Shape[] = [1, 16, 100].map((connections) => ({ loop: 'closed', connections }));
const OPEN: readonly Shape[] = [200, 1_000].map((perSecond) => ({ loop: 'open', perSecond }));
const LIGHT: readonly string[] = [DIRECT, RELAY, RELAY_TLS];
const BUSY: Shape = { loop: 'closed', connections: 100 };

/** Closed loops: how much it can do, and what a call costs then. */
export function closedLoops(bench: Bench, systems: readonly System[]): Promise<Cell[]> {
  return interleaved(bench, systems, CLOSED);
}

/** Open loops: how long a call takes when the system is not driven to its end. */
export function openLoops(bench: Bench, systems: readonly System[]): Promise<Cell[]> {
  return interleaved(bench, systems, OPEN);
}

/** The gateway of this checkout and of another one, and the bare relay, taking turns at 100 connections. */
export async function against(bench: Bench, checkout: string): Promise<Cell[]> {
  const { systems } = bench;
  const compared = [await systems.relay(false), await systems.gateway({ checkout }), await systems.gateway()];
  await warmUp(bench, [...compared, ...compared.slice(1)]);
  const cells = await interleaved(bench, compared, [BUSY]);
  await systems.stop(compared);
  return cells;
}

/** Compilers and caches settle before anything is measured. */
export async function warmUp({ meter, options, say }: Bench, systems: readonly System[]): Promise<void> {
  for (const system of systems) {
    say(`warming up ${system.name}`);
    // More code takes longer to be compiled.
    const seconds = LIGHT.includes(system.name) ? options.warmUpSeconds / 2 : options.warmUpSeconds;
    await meter.cell(system, BUSY, { round: -1, seconds });
  }
}

/** Systems take turns inside a round, and the first changes from round to round: what the machine does hits all alike. */
async function interleaved(
  bench: Bench,
  systems: readonly System[],
  shapes: readonly Shape[],
  rounds = bench.options.rounds,
): Promise<Cell[]> {
  const { meter, options, say } = bench;
  const cells: Cell[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const shape of shapes) {
      say(`round ${round + 1} of ${rounds}: ${labelOf(shape)}, ${systems.length} systems`);
      for (const i of systems.keys()) {
        const system = systems[(i + round) % systems.length]!;
        cells.push(await meter.cell(system, shape, { round, seconds: lengthOf(shape, options.seconds) }));
      }
    }
  }
  return cells;
}

/** One connection needs less time for as steady a figure, and so does an open loop with many arrivals. */
function lengthOf(shape: Shape, seconds: number): number {
  return shape.loop === 'closed'
    ? shape.connections === 1
      ? seconds / 2
      : seconds
    : shape.perSecond > 500
      ? seconds / 2
      : seconds;
}

/** Times of every stage under one load, and what the whole call cost then. */
export interface StagesMeasured {
  readonly shape: Shape;
  readonly cpuMicrosPerCall: number;
  readonly stages: readonly StageTimes[];
}

/** The inside: a gateway of its own with a stop watch around each stage; its totals are not comparable with the others. */
export async function stageTimes(bench: Bench): Promise<StagesMeasured[]> {
  const { meter, options, systems, say } = bench;
  const timed = await systems.gateway({ timed: true });
  await warmUp(bench, [timed]);
  const measured: StagesMeasured[] = [];
  for (const shape of CLOSED) {
    say(`stage times: ${labelOf(shape)}`);
    let stages: readonly StageTimes[] = [];
    const around = async (act: () => Promise<void>) => {
      await timed.child.ask({ ask: 'stages' });
      await act();
      ({ stages } = await timed.child.ask<{ stages: StageTimes[] }>({ ask: 'stages' }));
    };
    const { cpuMicrosPerCall } = await meter.cell(timed, shape, { round: 0, seconds: options.seconds * 2, around });
    measured.push({ shape, cpuMicrosPerCall, stages });
  }
  await systems.stop([timed]);
  return measured;
}

/** The whole with one control taken down at a time, beside the gateway as it is. */
export async function variants(bench: Bench): Promise<{ cells: Cell[]; leftOut: string[] }> {
  const { systems } = bench;
  const memory = existsSync(MEMORY_FOLDER);
  const possible = VARIANTS.filter((variant) => memory || !variant.inMemory);
  const compared: System[] = [await systems.gateway()];
  for (const variant of possible) compared.push(await systems.gateway({ variant }));
  await warmUp(bench, compared);
  const cells = await interleaved(bench, compared, [BUSY], Math.min(3, bench.options.rounds));
  await systems.stop(compared);
  const absent = VARIANTS.filter((variant) => !possible.includes(variant)).map(
    ({ name }) => `${name}: this machine has no ${MEMORY_FOLDER}`,
  );
  return { cells, leftOut: [...absent, ...NO_SETTING] };
}

/** Controls no setting takes down; their cost is in the stage times only. */
const NO_SETTING = [
  'transport, validation, registry, authorization, approval, errors, audit without records: no setting turns them off',
];

export interface Profiled {
  readonly file: string;
  readonly cell: Cell;
  readonly spent: Spent;
}

/** Where the main thread's time goes at 100 connections. */
export async function profiled(bench: Bench, name: string): Promise<Profiled> {
  const { meter, options, systems, out, root, say } = bench;
  const system = await systems.gateway();
  await warmUp(bench, [system, system, system]);
  say('profiling');
  const file = join(out, `${name}.cpuprofile`);
  const around = async (act: () => Promise<void>) => {
    await system.child.ask({ ask: 'profile', file: null });
    await act();
    await system.child.ask({ ask: 'profile', file });
  };
  const cell = await meter.cell(system, BUSY, { round: 0, seconds: Math.max(4, options.seconds), around });
  await systems.stop([system]);
  const { functions, charged, folders } = spentIn(JSON.parse(readFileSync(file, 'utf8')), root);
  return { file, cell, spent: { functions: functions.slice(0, 60), charged: charged.slice(0, 60), folders } };
}

export interface HeapSampled {
  readonly file: string;
  readonly cell: Cell;
  readonly allocated: Allocation;
}

/** Who allocates what at 100 connections, in bytes per call. */
export async function heapSampled(bench: Bench, name: string): Promise<HeapSampled> {
  const { meter, options, systems, out, root, say } = bench;
  const system = await systems.gateway();
  await warmUp(bench, [system, system]);
  say('sampling allocations');
  const file = join(out, `${name}.heapprofile`);
  const around = async (act: () => Promise<void>) => {
    await system.child.ask({ ask: 'heap', file: null });
    await act();
    await system.child.ask({ ask: 'heap', file }, 120_000);
  };
  const cell = await meter.cell(system, BUSY, { round: 0, seconds: Math.max(4, options.seconds), around });
  await systems.stop([system]);
  return { file, cell, allocated: allocatedIn(JSON.parse(readFileSync(file, 'utf8')), cell.calls, root) };
}
