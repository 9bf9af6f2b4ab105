import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readConfiguration } from '../../configuration.ts';
import { PUBLIC_ROUTES } from '../../pipeline.ts';
import { readSections } from '../../sections.ts';
import { type CardRow, cardOf } from './check-card.ts';
import { inspectHome } from './check-home.ts';
import { explained, type SetKey } from './check-settings.ts';
import type { Command, Io } from './command.ts';
import { isDevelopment, quickstart } from './start.ts';

const usage = `usage: gatewrit check [--config FILE] [--home D] [--explain] [--json]

Reads the whole configuration and what lies in the home, and prints the ten controls: what each does, whether it is
strong, weak or off, and for every weak point what to do about it. Nothing is started, made or changed.

  --config FILE  gatewrit.yaml (default ./gatewrit.yaml when it exists, else the quickstart)
  --home D       state folder (default .gatewrit)
  --explain      also every key the file sets, with its meaning and default
  --json         machine-readable answer

exit: 0 all strong, 1 weak points, 2 wrong use or settings that cannot be read, 3 could not run

example
  gatewrit check --config gatewrit.yaml --home .gatewrit
`;

interface Report {
  readonly file: string;
  readonly home: string;
  readonly good: boolean;
  /** Whether `gatewrit start` would go through, as far as can be seen from outside. */
  readonly starts: boolean;
  readonly controls: readonly CardRow[];
  readonly around: readonly CardRow[];
  /** What is answered without a principal; nothing else is. */
  readonly routes: typeof PUBLIC_ROUTES;
  readonly settings: readonly SetKey[];
}

export const checkCommand: Command = {
  name: 'check',
  summary: 'explain the configuration, control by control, and name what is weak',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    const { values } = parseArgs({
      args: argv,
      options: {
        config: { type: 'string' },
        home: { type: 'string', default: '.gatewrit' },
        explain: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const file = values.config ?? (existsSync('gatewrit.yaml') ? 'gatewrit.yaml' : quickstart());
    const report = await reportOf(file, resolve(values.home));
    io.stdout(values.json ? `${JSON.stringify(report)}\n` : inWords(report, values.explain));
    return report.good ? 0 : 1;
  },
};

/** @throws SettingsError when the file cannot be read as settings */
async function reportOf(file: string, home: string): Promise<Report> {
  const configuration = readConfiguration(file);
  // The embedded issuer is not running here; its section is read as it would be.
  const development = isDevelopment(configuration) ? { issuer: 'https://localhost' } : null;
  const sections = readSections({ configuration, home, development });
  const facts = await inspectHome({ home, sections, configuration, now: { utc: Date.now() } });
  const { controls, around } = cardOf(sections, configuration, facts);
  const rows = [...controls, ...around];
  return {
    file,
    home,
    good: rows.every(({ state }) => state === 'strong'),
    starts: rows.every(({ points }) => points.every((point) => !point.stops)),
    controls,
    around,
    routes: PUBLIC_ROUTES,
    settings: explained(configuration),
  };
}

function inWords(report: Report, explain: boolean): string {
  const { controls, around, routes, settings } = report;
  const parts = [
    `${report.file}, home ${report.home}`,
    controls.map((row, i) => rowText(row, String(i + 1).padStart(2))).join('\n'),
    around.map((row) => rowText(row, ' ·')).join('\n'),
    `answered without a principal\n  public  ${routes.public.join('  ')}\n  admin   ${routes.admin.join('  ')}`,
  ];
  if (explain) parts.push(settings.length === 0 ? 'The file sets nothing.' : settings.map(keyText).join('\n'));
  parts.push(verdict(report));
  return `${parts.join('\n\n')}\n`;
}

function rowText({ place, state, does, points }: CardRow, number: string): string {
  const lines = [`${number}  ${place.padEnd(14)}  ${state.padEnd(6)}  ${does}`];
  for (const { what, remedy, stops } of points)
    lines.push(`      ${stops ? 'STOPS' : 'weak '}  ${inert(what)}`, `      mend   ${inert(remedy)}`);
  return lines.join('\n');
}

function keyText({ key, value, fallback, meaning }: SetKey): string {
  const instead = fallback === null || fallback === value ? '' : ` (default ${fallback})`;
  return `${inert(key)} = ${inert(value)}${instead}\n      ${meaning}`;
}

function verdict({ controls, around, good, starts }: Report): string {
  if (good) return 'strong: all ten controls hold, and nothing around them is relaxed';
  const points = [...controls, ...around].reduce((sum, { points }) => sum + points.length, 0);
  const count = (state: string) => controls.filter((row) => row.state === state).length;
  const card = `${count('strong')} of 10 controls strong, ${count('weak')} weak, ${count('off')} off; ${points} ${points === 1 ? 'point' : 'points'} to mend`;
  return starts ? card : `${card}; gatewrit start would refuse this`;
}

/** What stands in files and manifests must not steer a terminal. */
function inert(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}
