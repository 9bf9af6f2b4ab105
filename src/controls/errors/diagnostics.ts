import { DATABASE_RULES } from './rules/database.ts';
import { ENVIRONMENT_RULES } from './rules/environment.ts';
import { NETWORK_RULES } from './rules/network.ts';
import { PAGE_RULES } from './rules/page.ts';
import { PATH_RULES } from './rules/path.ts';
import type { DiagnosticRule } from './rules/rule.ts';
import { STACK_RULES } from './rules/stack.ts';

/**
 * Does a text tell how the inside of a server looks? Stack frames, absolute paths, database and driver text, hosts and
 * ports, connection strings, environment, error pages, addresses in memory. Pure; every repetition is
 * bounded, a rule runs only when one of its literals occurs, and what is longer than any message counts as a dump.
 *
 * It is a judgement about a whole text, not a cutter: what stands beside a stack frame is not worth a guess. It errs
 * towards withholding; an operator who wants a tool's own words sets `errors: verbatim` for it.
 */
export const DIAGNOSTIC_RULES: readonly DiagnosticRule[] = [
  ...STACK_RULES,
  ...PATH_RULES,
  ...DATABASE_RULES,
  ...NETWORK_RULES,
  ...ENVIRONMENT_RULES,
  ...PAGE_RULES,
];

/** Names of members that hold diagnostics whatever their text looks like. */
const MEMBERS = new Set([
  'stack',
  'stacktrace',
  'stack_trace',
  'traceback',
  'trace',
  'errno',
  'syscall',
  'sqlstate',
  'sqlmessage',
  'innerexception',
  'exception',
  'argv',
  'cwd',
  'hostname',
  'pid',
]);

/** A longer failure is a dump, not a message: judging it would cost more than it is worth. Characters. */
export const LONGEST_JUDGED = 16_384;

/** True for member names such as `stack` or `sqlState`: their value is diagnostics. */
export function isDiagnosticMember(name: string): boolean {
  return MEMBERS.has(name.toLowerCase());
}

/**
 * @param text attacker-influenced, of any length
 * @returns the kind of diagnostics it carries, or null
 */
export function diagnosticsIn(text: string): string | null {
  if (text.length > LONGEST_JUDGED) return 'dump';
  const plain = text.includes('\u001b') ? text.replace(/\u001b\[[0-9;]{0,20}[A-Za-z]/g, '') : text;
  const found = match(plain);
  if (found !== null) return found;
  // The same once more below one layer of quoting: JSON inside a message, a percent-encoded path, an escaped page.
  const opened = openQuoting(plain);
  return opened === plain ? null : match(opened);
}

function match(text: string): string | null {
  const lower = text.toLowerCase();
  for (const { kind, literals, pattern } of DIAGNOSTIC_RULES) {
    if (literals.some((literal) => lower.includes(literal)) && pattern.test(text)) return kind;
  }
  return null;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '"': '"',
  "'": "'",
  '/': '/',
  '\\': '\\',
};
const ENTITIES: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  quot: '"',
  amp: '&',
  '#x2f': '/',
  '#47': '/',
  '#39': "'",
};

function openQuoting(text: string): string {
  let opened = text;
  if (opened.includes('\\')) {
    opened = opened.replace(/\\(u[0-9a-fA-F]{4}|[ntr"'/\\])/g, (_all, code: string) =>
      code.length === 5 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : ESCAPES[code]!,
    );
  }
  if (opened.includes('%')) {
    opened = opened.replace(/%([2-7][0-9a-fA-F])/g, (_all, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
  }
  if (opened.includes('&')) {
    opened = opened.replace(
      /&(lt|gt|quot|amp|#x2f|#47|#39);/gi,
      (all, name: string) => ENTITIES[name.toLowerCase()] ?? all,
    );
  }
  return opened;
}
