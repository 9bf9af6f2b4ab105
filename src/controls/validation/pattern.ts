import { RE2JS } from 're2js';

/**
 * Patterns of schemas are written by strangers and run over text of other strangers, so they run in an engine with
 * linear time. Its dialect is not ECMAScript's: a pattern is rewritten token by token so that it means the same, or
 * it is refused. Never "nearly the same": a guard that matches more than it says is no guard.
 */
export class PatternFault extends Error {}

const LINE_ENDS = '\\n\\r\\x{2028}\\x{2029}';
const SPACES =
  '\\t\\n\\x{b}\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
const MAX_PATTERN = 2_000;

export interface Pattern {
  /** Steps one character costs at most: a counted repetition is as many steps as it counts. */
  readonly steps: number;
  test(text: string): boolean;
  toString(): string;
}

/**
 * Compiles a JSON Schema pattern (ECMA-262 with the u flag, unanchored).
 * @throws PatternFault with a sentence when it is not valid or cannot be said in linear time
 */
export function compilePattern(pattern: string): Pattern {
  if (pattern.length > MAX_PATTERN) throw new PatternFault(`a pattern is longer than ${MAX_PATTERN} characters`);
  try {
    // Only compiled, never run: says whether the text is a pattern at all.
    new RegExp(pattern, 'u');
  } catch {
    throw new PatternFault('a pattern is not valid ECMAScript with the u flag');
  }
  const translated = translate(pattern);
  try {
    const compiled = RE2JS.compile(translated);
    // Ajv tells patterns apart by this text.
    return {
      steps: compiled.programSize(),
      test: (text) => compiled.test(text),
      toString: () => `/${pattern}/`,
    };
  } catch {
    throw new PatternFault('a pattern cannot be evaluated in linear time');
  }
}

function translate(pattern: string): string {
  let out = '';
  let i = 0;
  while (i < pattern.length) {
    const c = pattern[i]!;
    if (c === '\\') {
      const [text, next] = escapeAt(pattern, i, false);
      out += text;
      i = next;
    } else if (c === '[') {
      const [text, next] = classAt(pattern, i);
      out += text;
      i = next;
    } else if (c === '.') {
      out += `[^${LINE_ENDS}]`;
      i++;
    } else if (c === '(' && pattern[i + 1] === '?') {
      const group = /^\(\?(?::|<([^=!][^>]*)>)/.exec(pattern.slice(i));
      if (!group) throw new PatternFault('a pattern looks ahead, looks behind or switches modes');
      out += '(?:';
      i += group[0].length;
    } else {
      out += c;
      i++;
    }
  }
  return out;
}

function classAt(pattern: string, start: number): [string, number] {
  const negated = pattern[start + 1] === '^';
  let i = start + (negated ? 2 : 1);
  let out = negated ? '[^' : '[';
  if (pattern[i] === ']') throw new PatternFault('a pattern has an empty class');
  while (pattern[i] !== ']') {
    if (pattern[i] === '\\') {
      const [text, next] = escapeAt(pattern, i, true);
      out += text;
      i = next;
    } else {
      // An opening bracket or a leading caret would begin something in the other dialect.
      const c = pattern[i]!;
      out += c === '[' || c === '^' ? `\\${c}` : c;
      i++;
    }
  }
  return [`${out}]`, i + 1];
}

/** The escape at `i`, rewritten, and the index behind it. */
function escapeAt(pattern: string, i: number, inClass: boolean): [string, number] {
  const c = pattern[i + 1]!;
  if ('dDwWtnfr'.includes(c)) return [`\\${c}`, i + 2];
  if (c === 'v') return ['\\x{b}', i + 2];
  if (c === 's') return [inClass ? SPACES : `[${SPACES}]`, i + 2];
  if (c === 'S' && !inClass) return [`[^${SPACES}]`, i + 2];
  if (c === 'b' && inClass) return ['\\x{8}', i + 2];
  if ((c === 'b' || c === 'B') && !inClass) return [`\\${c}`, i + 2];
  if (c === '0') return ['\\x{0}', i + 2];
  if (c === 'c') return [`\\x{${(pattern.charCodeAt(i + 2) % 32).toString(16)}}`, i + 3];
  if (c === 'x') return [`\\x{${pattern.slice(i + 2, i + 4)}}`, i + 4];
  if (c === 'u') return codePointAt(pattern, i);
  if (c === 'p' || c === 'P') {
    const name = /^\{([A-Z][a-z]?)\}/.exec(pattern.slice(i + 2));
    if (!name) throw new PatternFault('a pattern uses a Unicode property other than a short general category');
    return [`\\${c}{${name[1]}}`, i + 2 + name[0].length];
  }
  if (/[\^$\\.*+?()[\]{}|/-]/.test(c)) return [c === '/' ? '/' : `\\${c}`, i + 2];
  throw new PatternFault('a pattern uses an escape that has no linear-time form');
}

function codePointAt(pattern: string, i: number): [string, number] {
  const braced = /^\\u\{([0-9a-fA-F]+)\}/.exec(pattern.slice(i, i + 40));
  if (braced) return [`\\x{${braced[1]!.replace(/^0+(?=.)/, '')}}`, i + braced[0].length];
  const pair = /^\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(pattern.slice(i, i + 12));
  if (pair) {
    const point = String.fromCharCode(Number.parseInt(pair[1]!, 16), Number.parseInt(pair[2]!, 16)).codePointAt(0)!;
    return [`\\x{${point.toString(16)}}`, i + 12];
  }
  return [`\\x{${pattern.slice(i + 2, i + 6)}}`, i + 6];
}
