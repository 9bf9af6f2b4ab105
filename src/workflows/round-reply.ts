import type { Result } from '../core/call.ts';
import { scanDocument } from '../core/mcp/scanner.ts';
import { treeOf } from '../core/mcp/tree.ts';
import { type InputRequired, QUESTION_METHODS, type Question } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { wordedFor } from './question-words.ts';

const MODERN = '2026-07-28';
const OUR_MARKS = 'gatewrit/';

/**
 * Questions as a client of 2026-07-28 gets them: a result it answers by repeating the call (protocol.md 1.8). The
 * params of every question are the upstream's own bytes.
 * @param state sealed, or null where nothing has to come back
 */
export function inputRequired(asked: InputRequired, state: string | null): Result | Refusal {
  const parts: Uint8Array[] = [Buffer.from('{"resultType":"input_required"')];
  let separator = ',"inputRequests":{';
  for (const [key, question] of asked.questions) {
    const params = known(question) ? wordedFor(MODERN, question) : null;
    if (params === null) return new Refusal('upstream.protocol', { evidence: 'a question without readable params' });
    parts.push(Buffer.from(`${separator}${JSON.stringify(key)}:{"method":"${question.method}","params":`), params);
    parts.push(Buffer.from('}'));
    separator = ',';
  }
  let end = asked.questions.size > 0 ? '}' : '';
  if (state !== null) end += `,"requestState":${JSON.stringify(state)}`;
  parts.push(Buffer.from(end));
  if (asked.meta !== null && isRelayed(asked.meta)) parts.push(Buffer.from(',"_meta":'), asked.meta);
  parts.push(Buffer.from('}'));
  return resultOf(Buffer.concat(parts));
}

function known({ method }: Question): boolean {
  return QUESTION_METHODS.includes(method);
}

/** Only this gateway may say that an approval is needed: a `_meta` with marks under our name stays behind whole. */
function isRelayed(meta: Uint8Array): boolean {
  const document = scanDocument(meta);
  if (typeof document === 'string' || document.members === null) return false;
  return !document.members.keys().some((name) => name.toLowerCase().startsWith(OUR_MARKS));
}

function resultOf(bytes: Uint8Array): Result {
  let view: unknown;
  return {
    kind: 'result',
    bytes,
    diagnostics: null,
    view: () => (view ??= treeOf(Buffer.from(bytes).toString('utf8'))),
  };
}
