import os from 'node:os';
import type { Child } from './child.ts';
import type { LoadResult, LoadTarget } from './load.ts';
import type { Usage } from './systems/answering.ts';

/** One measured system. `upstream` is who must have counted its calls: itself, for the upstream called directly. */
export interface System {
  readonly name: string;
  readonly secure: boolean;
  readonly child: Child;
  readonly upstream: Child;
  /** Its calls bear no token. */
  readonly anonymous: boolean;
}

export type Shape =
  | { readonly loop: 'closed'; readonly connections: number }
  | { readonly loop: 'open'; readonly perSecond: number };

/** Connections of an open loop; a request that finds all of them busy waits, and its waiting counts. */
const OPEN_LOOP_CONNECTIONS = 64;

/** One system under one load once. */
export interface Cell {
  readonly system: string;
  readonly shape: Shape;
  readonly round: number;
  readonly calls: number;
  readonly callsPerSecond: number;
  /** User and system time of the system's process, all threads, per answered call. */
  readonly cpuMicrosPerCall: number;
  /** The part of its main thread; the rest are compiler, garbage collection and the threads that write. */
  readonly mainMicrosPerCall: number;
  /** Share of one core the system used, and load and upstream together: who is at 1 limits the rate. */
  readonly busy: number;
  readonly restBusy: number;
  /** What everything else on this machine used meanwhile, in cores: above a tenth, times are not to be trusted. */
  readonly others: number;
  readonly rssMb: number;
  readonly latency: LoadResult['latency'];
  readonly lagP99: number;
}

/** Puts systems under load, one at a time, and checks every answer and the upstream's own count. */
export class Meter {
  readonly #load: Child;
  readonly #surroundings: Omit<LoadTarget, 'port'> & { readonly ca: string };
  /** What went wrong, in words. Anything here fails the bench. */
  readonly problems: string[] = [];

  constructor(load: Child, surroundings: { readonly ca: string; readonly tokens: readonly string[] }) {
    this.#load = load;
    this.#surroundings = surroundings;
  }

  /** @param during asked once the connections are open, before and after the calls (stage times, profiles) */
  async cell(
    system: System,
    shape: Shape,
    run: { round: number; seconds: number; around?: (act: () => Promise<void>) => Promise<void> },
  ): Promise<Cell> {
    const { ca, tokens } = this.#surroundings;
    const target: LoadTarget = {
      port: system.child.port,
      ca: system.secure ? ca : null,
      tokens: system.anonymous ? [''] : tokens,
    };
    const connections = shape.loop === 'closed' ? shape.connections : OPEN_LOOP_CONNECTIONS;
    const { fault } = await this.#load.ask<{ fault?: string }>({ ask: 'open', target, connections });
    if (fault) throw new Error(`${system.name}: ${fault}\n${system.child.log}`);
    let result: LoadResult | null = null;
    const before = await this.#usages(system);
    const act = async () => {
      const loop = shape.loop === 'closed' ? { ask: 'closedLoop' } : { ask: 'openLoop', perSecond: shape.perSecond };
      result = await this.#load.ask<LoadResult>({ ...loop, seconds: run.seconds });
    };
    await (run.around ? run.around(act) : act());
    const after = await this.#usages(system);
    await this.#load.ask({ ask: 'close' });
    return this.#cellOf(system, shape, run.round, result!, before, after);
  }

  async #usages(system: System): Promise<Usages> {
    return {
      system: await system.child.usage(),
      upstream: await system.upstream.usage(),
      load: await this.#load.usage(),
      machineMicros: busyMicros(),
    };
  }

  #cellOf(system: System, shape: Shape, round: number, result: LoadResult, before: Usages, after: Usages): Cell {
    const { calls, errors, firstError, seconds, latency, lagP99 } = result;
    const counted = after.upstream.calls! - before.upstream.calls!;
    const where = `${system.name}, ${labelOf(shape)}, round ${round + 1}`;
    if (errors > 0) this.problems.push(`${where}: ${errors} wrong answers, the first: ${firstError}`);
    if (counted !== calls) this.problems.push(`${where}: ${calls} calls answered, but the upstream counted ${counted}`);
    const spent = (who: 'system' | 'upstream' | 'load') => after[who].cpuMicros - before[who].cpuMicros;
    const rest = spent('load') + (system.upstream === system.child ? 0 : spent('upstream'));
    return {
      system: system.name,
      shape,
      round,
      calls,
      callsPerSecond: calls / seconds,
      cpuMicrosPerCall: spent('system') / calls,
      mainMicrosPerCall: (after.system.mainMicros - before.system.mainMicros) / calls,
      busy: spent('system') / (seconds * 1e6),
      restBusy: rest / (seconds * 1e6),
      others: Math.max(0, (after.machineMicros - before.machineMicros - spent('system') - rest) / (seconds * 1e6)),
      rssMb: after.system.rssBytes / 2 ** 20,
      latency,
      lagP99,
    };
  }
}

interface Usages {
  readonly system: Usage;
  readonly upstream: Usage;
  readonly load: Usage;
  /** Busy time of all cores, whoever used them. */
  readonly machineMicros: number;
}

function busyMicros(): number {
  return os.cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) * 1000, 0);
}

export function labelOf(shape: Shape): string {
  if (shape.loop === 'open') return `${shape.perSecond.toLocaleString('en')} calls/s`;
  return `${shape.connections} connection${shape.connections === 1 ? '' : 's'}`;
}
