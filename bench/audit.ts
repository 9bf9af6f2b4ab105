import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Options, readOptions, USAGE } from './audit/options.ts';
import {
  type Bench,
  RATES,
  type RecoveryCell,
  recoveryCells,
  TENANTS,
  type VerifyCell,
  verifyCells,
  type WriterCell,
  writerCell,
} from './audit/parts.ts';
import { type Figures, reportOf, rowsOf } from './audit/report.ts';
import { machineOf } from './machine.ts';

/** `npm run bench:audit`: one table in one run, each figure beside its goal. How to read it: docs/performance.md. */
const root = join(import.meta.dirname, '..');
const out = join(import.meta.dirname, 'out');
const say = (text: string) => void process.stderr.write(`bench: ${text}\n`);

async function measure(options: Options): Promise<Figures> {
  const started = new Date();
  // Not the folder for temporary files: that is often memory, where a durable write costs nothing.
  const folder = join(out, `audit-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const problems: string[] = [];
  const bench: Bench = { options, folder, problems, say };
  const { parts, rounds } = options;
  try {
    const writer: WriterCell[] = [];
    const rates = [...(parts.has('sustained') ? [0] : []), ...(parts.has('open') ? RATES : [])];
    for (let round = 0; round < rounds; round++)
      for (const perSecond of rates)
        for (const tenants of TENANTS) writer.push(await writerCell(bench, perSecond, tenants, round));
    const verify: VerifyCell[] = parts.has('verify') ? await verifyCells(bench) : [];
    const recovery: RecoveryCell[] = parts.has('recovery') ? await recoveryCells(bench) : [];
    return {
      started: started.toISOString(),
      machine: machineOf(root, folder),
      options: { ...options, parts: [...parts] },
      writer,
      verify,
      recovery,
      problems,
      seconds: (Date.now() - started.getTime()) / 1000,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

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
  const figures = await measure(options);
  const kept = `${JSON.stringify({ ...figures, rows: rowsOf(figures) }, null, 1)}\n`;
  const file = join(out, `audit-${figures.started.slice(0, 19).replaceAll(':', '')}.json`);
  writeFileSync(file, kept);
  process.stdout.write(options.json ? kept : reportOf(figures));
  say(`kept in ${file}`);
  return figures.problems.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (cause) {
  say((cause as Error).stack ?? String(cause));
  process.exitCode = 3;
}
