import { diagnosticsIn, isDiagnosticMember, LONGEST_JUDGED } from './diagnostics.ts';
import { mistakeIn } from './mistakes.ts';

/** What a failed call may look like from outside. Pure: values in, values out. */

/** The stable public word of every failure inside a tool. */
export const WORD = 'TOOL_EXECUTION_ERROR';

export function genericText(callId: string): string {
  return `${WORD}: The tool failed. Its operator has the details; quote correlation id ${callId}.`;
}

export function toldText(message: string, callId: string): string {
  return `${WORD}: ${message} (correlation id ${callId})`;
}

function failureMeta(callId: string): object {
  return { 'gatewrit/code': WORD, 'gatewrit/correlationId': callId };
}

/**
 * The kind of diagnostics anywhere in a parsed value, or null. Bounded in depth and in all its text together: what is
 * deeper or longer than any message counts as a dump.
 */
export function diagnosticsInTree(value: unknown): string | null {
  return judge(value, 0, { characters: 4 * LONGEST_JUDGED });
}

function judge(value: unknown, depth: number, left: { characters: number }): string | null {
  if (typeof value === 'string') {
    left.characters -= value.length;
    return left.characters < 0 ? 'dump' : diagnosticsIn(value);
  }
  if (typeof value !== 'object' || value === null) return null;
  if (depth > 64) return 'dump';
  for (const [name, member] of Object.entries(value)) {
    if (!Array.isArray(value)) {
      if (isDiagnosticMember(name) && member !== null && member !== '') return `member ${name.toLowerCase()}`;
      const inName = judge(name, depth, left);
      if (inName !== null) return inName;
    }
    const found = judge(member, depth + 1, left);
    if (found !== null) return found;
  }
  return null;
}

/** A failed tool result without its diagnostics: clean text items stay, everything that carried some becomes one sentence, generic or of the caller's own mistake. */
export function scrubbedToolResult(
  result: Readonly<Record<string, unknown>>,
  callId: string,
  args: unknown = undefined,
): object {
  const items = Array.isArray(result['content']) ? (result['content'] as unknown[]) : [];
  const left = { characters: 4 * LONGEST_JUDGED };
  const isCleanText = (item: unknown): item is { text: string } => {
    const { type, text } = (item ?? {}) as { type?: unknown; text?: unknown };
    return type === 'text' && typeof text === 'string' && judge(text, 0, left) === null;
  };
  const kept = items.filter(isCleanText).map(({ text }) => ({ type: 'text', text }));
  const mistake = mistakeIn(items.map(textOf).join('\n'), args);
  return {
    resultType: 'complete',
    content: [...kept, { type: 'text', text: mistake === null ? genericText(callId) : toldText(mistake, callId) }],
    isError: true,
    _meta: failureMeta(callId),
  };
}

function textOf(item: unknown): string {
  const { text } = (item ?? {}) as { text?: unknown };
  return typeof text === 'string' ? text : '';
}

/** A failed tool result of one sentence. */
export function toolFailure(text: string, callId: string): object {
  return { resultType: 'complete', content: [{ type: 'text', text }], isError: true, _meta: failureMeta(callId) };
}

/**
 * Codes an upstream may give to our caller as its own. -32602 is about what the caller asked for, and so was -32002
 * (resource not found) in older revisions. The rest of the reserved range speaks about the exchange between upstream
 * and us: -3202x in particular is our fault and never the caller's (protocol.md 1.5).
 */
export function publicCode(code: unknown): number {
  if (code === -32602 || code === -32002) return -32602;
  if (typeof code !== 'number' || !Number.isSafeInteger(code)) return -32603;
  return code <= -32000 && code >= -32768 ? -32603 : code;
}
