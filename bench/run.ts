import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeSurroundings } from './home.ts';
import { choosePinning, machineOf } from './machine.ts';
import { type Cell, Meter, type System } from './measure.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import {
  against,
  type Bench,
  closedLoops,
  heapSampled,
  openLoops,
  profiled,
  stageTimes,
  variants,
  warmUp,
} from './parts.ts';
import { type Figures, reportOf, verdictsOf } from './report.ts';
import { Systems } from './systems.ts';

/** `npm run bench`: one table in one run. How to read it: docs/performance.md. */
const root = join(import.meta.dirname, '..');
const out = join(import.meta.dirname, 'out');
const say = (text: string) => void process.stderr.write(`bench: ${text}\n`);

async function bench(options: Options): Promise<Figures> {
  const started = new Date();
  // Not the folder for temporary files: that is often memory, where a durable write costs nothing.
  const folder = join(out, `run-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const pinning = choosePinning();
  const machine = machineOf(root, folder);
  say(pinning.text);
  let systems: Systems | null = null;
  try {
    const surroundings = await makeSurroundings(join(folder, 'surroundings'));
    systems = await Systems.open(folder, pinning, surroundings);
    const ca = readFileSync(surroundings.certificates.ca, 'utf8');
    const meter = new Meter(await systems.load(), { ca, tokens: surroundings.tokens });
    const found = await measure({ options, systems, meter, out, root, say }, nameOf(started));
    return {
      started: started.toISOString(),
      machine,
      pinning: pinning.text,
      options: { ...options, parts: [...options.parts] },
      ...found,
      problems: meter.problems,
      seconds: (Date.now() - started.getTime()) / 1000,
    };
  } finally {
    await systems?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

type Found = Pick<Figures, 'closed' | 'open' | 'stages' | 'variants' | 'leftOut' | 'profile' | 'heap'>;

async function measure(bench: Bench, name: string): Promise<Found> {
  const { options, systems } = bench;
  const { parts } = options;
  let closed: Cell[] = [];
  let open: Cell[] = [];
  if (parts.has('closed') || parts.has('open')) {
    const compared: System[] = [await systems.direct(), await systems.recordingRelay()];
    for (const secure of [false, true]) compared.push(await systems.relay(secure), await systems.gateway({ secure }));
    await warmUp(bench, compared);
    if (parts.has('closed')) closed = await closedLoops(bench, compared);
    if (parts.has('open')) open = await openLoops(bench, compared);
    await systems.stop(compared);
  }
  if (options.against !== null) closed = await against(bench, resolve(options.against));
  const varied = parts.has('variants') ? await variants(bench) : { cells: [], leftOut: [] };
  return {
    closed,
    open,
    variants: varied.cells,
    leftOut: varied.leftOut,
    stages: parts.has('stages') ? await stageTimes(bench) : [],
    profile: parts.has('profile') ? await profiled(bench, name) : null,
    heap: parts.has('heap') ? await heapSampled(bench, name) : null,
  };
}

const nameOf = (date: Date) => date.toISOString().slice(0, 19).replaceAll(':', '');

async function main(): Promise<number> {
  let options: Options | 'help';
  try {
    options = readOptions(process.argv.slice(2));
  } catch (wrong) {
    process.stderr.write(`bench: ${(wrong as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const figures = await bench(options);
  const file = join(out, `${nameOf(new Date(figures.started))}.json`);
  const verdicts = verdictsOf(figures);
  const kept = `${JSON.stringify({ ...figures, verdicts }, null, 1)}\n`;
  writeFileSync(file, kept);
  process.stdout.write(options.json ? kept : reportOf(figures));
  say(`kept in ${file}`);
  const good = figures.problems.length === 0 && verdicts.every(({ kind, met }) => met || kind === 'aim');
  return good ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (cause) {
  say((cause as Error).stack ?? String(cause));
  process.exitCode = 3;
}
