import { readFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import {
  type Evaluation,
  evaluate,
  type Inspected,
  inspect,
  type LabelledText,
  redactionSettings,
} from '../../controls/redaction/index.ts';
import { type Command, type Io, systemTrouble, wrongUse } from './command.ts';

const usage = `usage: gatewrit redact FILE|- [--json] [--show]
       gatewrit redact eval FILE [--json]

Shows what redaction would find in a JSON document or a text and what it would do in an answer, with the default
settings. Values are not printed. eval measures precision and recall on a labelled file: a JSON array of
{"full_text", "spans": [{"entity_type", "start_position", "end_position"}]}, offsets in UTF-16 units.

options
  --show   print the values too
  --json   machine-readable answer

exit: 0 nothing found (eval: measured), 1 something found, 2 wrong use, 3 the file cannot be read

example
  printf '{"mail":"jane@example.org"}' | gatewrit redact -
`;

interface Options {
  readonly json: boolean;
  readonly show: boolean;
}

/** Works without a running gateway, a home folder or a key. */
export const redactCommand: Command = {
  name: 'redact',
  summary: 'show what redaction would find in a file',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        home: { type: 'string' },
        json: { type: 'boolean', default: false },
        show: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    const [first, second, ...more] = positionals;
    const measuring = first === 'eval';
    const file = measuring ? second : first;
    if (file === undefined || more.length > 0 || (!measuring && second !== undefined))
      return wrongUse(io, 'redact', 'say one FILE, or - for stdin');
    const content = await read(file, io);
    if (content === null) return 3;
    return measuring ? measure(content, values, io) : show(content, values, io);
  },
};

async function read(file: string, io: Io): Promise<string | null> {
  try {
    return file === '-' ? await readAll(process.stdin) : readFileSync(file, 'utf8');
  } catch (error) {
    io.stderr(`gatewrit redact: ${systemTrouble(error) ?? `${file} cannot be read: ${(error as Error).message}`}\n`);
    return null;
  }
}

function show(content: string, options: Options, io: Io): number {
  const found = inspect(content, parse(content) !== undefined, redactionSettings.parse({}));
  if (options.json) {
    const findings = found.map(({ value, ...finding }) => (options.show ? { ...finding, value } : finding));
    io.stdout(`${JSON.stringify({ findings })}\n`);
  } else if (found.length === 0) io.stdout('nothing found\n');
  else for (const one of found) io.stdout(`${line(one, options.show)}\n`);
  return found.length === 0 ? 0 : 1;
}

function line(one: Inspected, showing: boolean): string {
  const words = [one.type.padEnd(15), one.action.padEnd(9), one.rule.padEnd(24), one.path || '/'];
  if (showing) words.push(JSON.stringify(one.value));
  return words.join(' ');
}

function measure(content: string, options: Options, io: Io): number {
  const texts = labelled(parse(content));
  if (texts === null) {
    io.stderr('gatewrit redact eval: the file is not an array of labelled texts; see --help\n');
    return 2;
  }
  const evaluation = evaluate(texts, redactionSettings.parse({}));
  io.stdout(options.json ? `${JSON.stringify(evaluation)}\n` : table(evaluation));
  return 0;
}

function table({ texts, scores, notCovered }: Evaluation): string {
  const rows = [['type', 'labelled', 'found', 'hit', 'false', 'recall', 'precision', 'F2']];
  for (const one of scores) {
    const shares = [one.recall, one.precision, one.f2].map((share) => share.toFixed(3));
    rows.push([one.type, ...[one.labelled, one.found, one.hit, one.falseAlarms].map(String), ...shares]);
  }
  const lines = rows.map(([type, ...cells]) => type!.padEnd(16) + cells.map((cell) => cell.padStart(10)).join(''));
  const others = Object.entries(notCovered).map(([label, count]) => `${label} ${count}`);
  const rest = others.length === 0 ? '' : `labels without rules: ${others.join(', ')}\n`;
  return `${texts} texts\n${lines.join('\n')}\n${rest}`;
}

function labelled(parsed: unknown): LabelledText[] | null {
  if (!Array.isArray(parsed) || parsed.length === 0) return null;
  return parsed.every(isLabelled) ? parsed : null;
}

function isLabelled(one: unknown): one is LabelledText {
  const text = one as LabelledText | null;
  return (
    typeof text?.full_text === 'string' &&
    Array.isArray(text.spans) &&
    text.spans.every(
      (span) =>
        typeof span?.entity_type === 'string' &&
        Number.isInteger(span.start_position) &&
        Number.isInteger(span.end_position),
    )
  );
}

function parse(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}
