import type { Message, Target } from '../../core/call.ts';
import { type ScanLimits, scanDocument } from '../../core/mcp/scanner.ts';
import type { Hint } from './hint.ts';

type Members = Readonly<Record<string, unknown>>;

/** What a completion passes on beside the name of its prompt or resource: judged, redacted and recorded as its arguments. */
export interface CompletionArguments {
  readonly view: Members;
  readonly bytes: Uint8Array;
}

const PASSED = ['argument', 'context'] as const;

/** The two members cut out of the message, in an object of their own. */
export function completionArguments({ params, spans, bytes }: Message, limits: ScanLimits): CompletionArguments {
  const at = spans.params!;
  const object = bytes.subarray(at.start, at.end);
  const document = scanDocument(object, limits);
  const members = typeof document === 'string' ? null : document.members;
  const view: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  for (const name of PASSED) {
    const span = members?.get(name);
    if (!span) continue;
    view[name] = params[name];
    parts.push(Buffer.from(`${parts.length === 0 ? '{' : ','}"${name}":`), object.subarray(span.start, span.end));
  }
  return { view, bytes: Buffer.concat([...parts, CLOSE]) };
}
const CLOSE = Buffer.from('}');

/**
 * A completion asks for one argument while others are given in part, so nothing is required of them. A prompt's are
 * declared by name, and all are strings; which variables a template has only its server says.
 */
export function judgeCompletion({ kind, definition }: Target, view: Members): Hint | null {
  const argument = view['argument'] as { name: string };
  const context = (view['context'] ?? {}) as Members;
  const given = Object.hasOwn(context, 'arguments') ? context['arguments'] : {};
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    return { path: '/context/arguments', text: '/context/arguments: must be object' };
  const declared = kind === 'prompt' ? declaredBy(definition['arguments']) : null;
  if (declared && !declared.has(argument.name))
    return { path: '/argument/name', text: '/argument/name: is not an argument of this prompt' };
  for (const [name, value] of Object.entries(given)) {
    if (declared && !declared.has(name))
      return { path: '/context/arguments', text: '/context/arguments: has an argument the prompt does not declare' };
    if (typeof value !== 'string')
      return { path: '/context/arguments/*', text: '/context/arguments/*: must be string' };
  }
  return null;
}

function declaredBy(list: unknown): ReadonlySet<unknown> {
  return new Set(Array.isArray(list) ? list.map((one: { name?: unknown } | null) => one?.name) : []);
}
