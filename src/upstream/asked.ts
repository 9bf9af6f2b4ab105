import type { Span } from '../core/call.ts';
import { objectEdits, patch } from '../core/mcp/patch.ts';
import { type DocumentSpans, isObjectAt, parseSpan, scanDocument } from '../core/mcp/scanner.ts';
import { InputRequired, QUESTION_METHODS, type Question, type QuestionMethod } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { type Bridged, missingFor } from './capabilities.ts';
import { WireFault } from './wire.ts';

/** Methods that may be answered with questions (protocol.md 1.8). */
const MAY_ASK: readonly string[] = ['tools/call', 'prompts/get', 'resources/read'];
/** One round: more questions, longer keys or a larger state are not a question but a load. */
export const MAX_QUESTIONS = 16;
const MAX_KEY_LENGTH = 256;
const MAX_STATE_LENGTH = 16 * 1024;
const EMPTY = Buffer.from('{}');

/** What this client would have to be able to do. The call was not completed. */
export function lacking(required: Readonly<Record<string, unknown>>, evidence: string): Refusal {
  const names = Object.entries(required).map(([name, parts]) => [name, ...Object.keys(parts as object)].join('.'));
  return new Refusal('upstream.capability', {
    data: { requiredCapabilities: required },
    text: `The tool asks for something this client has not declared (${names.join(', ')}), so the call was not completed.`,
    evidence,
  });
}

/** `method` is one a client can be asked. */
export function isQuestion(method: string): method is QuestionMethod {
  return (QUESTION_METHODS as readonly string[]).includes(method);
}

/** @param params one JSON value; absent is `{}`. @returns null when it is no object */
export function questionOf(
  method: QuestionMethod,
  bytes: Uint8Array,
  params: Span | null | undefined,
): Question | null {
  if (!params) return { method, params: EMPTY };
  if (!isObjectAt(bytes, params)) return null;
  return { method, params: withoutToken(bytes.subarray(params.start, params.end)) };
}

/** A progress token is about our connection to the upstream; to a client it would name something of its own. */
function withoutToken(params: Uint8Array): Uint8Array {
  const document = scanDocument(params);
  if (typeof document === 'string') return params;
  const meta = document.members?.get('_meta');
  if (!meta || !isObjectAt(params, meta)) return params;
  const members = scanDocument(params.subarray(meta.start, meta.end));
  if (typeof members === 'string') return params;
  const token = members.members?.get('progressToken');
  if (!token) return params;
  if (members.members!.size === 1) return patch(params, objectEdits(params, document.value, { remove: [meta] }));
  const remove = [{ start: meta.start + token.start, end: meta.start + token.end }];
  return patch(params, objectEdits(params, meta, { remove }));
}

/**
 * A result of type `input_required`: questions by the upstream's own keys, and its state. Only where questions may be
 * asked, and only what this client declared.
 */
export function readInputRequired(
  bytes: Uint8Array,
  document: DocumentSpans,
  method: string,
  bridge: Bridged,
  meta: Uint8Array | null,
): InputRequired | Refusal | WireFault {
  const fault = (evidence: string) => new WireFault('protocol', true, `input_required: ${evidence}`);
  if (!MAY_ASK.includes(method)) return fault(`not an answer to ${method}`);
  const state = stateOf(bytes, document.members!.get('requestState'));
  if (state instanceof WireFault) return state;
  const requests = document.members!.get('inputRequests');
  const questions = new Map<string, Question>();
  const asked = requests ? scanDocument(bytes.subarray(requests.start, requests.end)) : null;
  if (typeof asked === 'string' || (asked && asked.members === null)) return fault('inputRequests is no object');
  if ((asked?.members?.size ?? 0) > MAX_QUESTIONS) return fault(`more than ${MAX_QUESTIONS} questions`);
  for (const [key, span] of asked?.members ?? []) {
    const at = requests!.start;
    const question = questionIn(bytes.subarray(at + span.start, at + span.end));
    if (question === null || key.length > MAX_KEY_LENGTH) return fault('a question no client can be asked');
    const missing = missingFor(question, bridge);
    if (missing) return lacking(missing, `asks ${question.method} of a client that did not declare it`);
    questions.set(key, question);
  }
  if (questions.size === 0 && state === null) return fault('neither questions nor a state');
  return new InputRequired(questions, state, meta);
}

function stateOf(bytes: Uint8Array, span: Span | undefined): string | null | WireFault {
  if (!span) return null;
  const state = span.end - span.start <= MAX_STATE_LENGTH ? parseSpan(bytes, span) : null;
  return typeof state === 'string' ? state : new WireFault('protocol', true, 'requestState is no string, or too long');
}

/** One of `inputRequests`; null for what no client can be asked. */
export function questionIn(bytes: Uint8Array): Question | null {
  const document = scanDocument(bytes);
  if (typeof document === 'string') return null;
  const span = document.members?.get('method');
  const method = span && parseSpan(bytes, span);
  return typeof method === 'string' && isQuestion(method)
    ? questionOf(method, bytes, document.members?.get('params'))
    : null;
}

const MAX_ELICITATIONS = MAX_QUESTIONS;

/**
 * Error -32042 of a legacy upstream: it goes on when URLs have been opened. The questions a client can be asked instead;
 * there is no state, the call is sent again. Null: this error says something else.
 */
export function readUrlElicitations(error: unknown, bridge: Bridged): InputRequired | Refusal | WireFault | null {
  const { code, data } = error as { code?: unknown; data?: { elicitations?: unknown } };
  if (code !== -32042) return null;
  const list = data?.elicitations;
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_ELICITATIONS)
    return new WireFault('protocol', false, 'error -32042 without elicitations');
  if (!bridge.url) return lacking({ elicitation: { url: {} } }, 'asks with -32042 for URLs to be opened');
  const questions = new Map<string, Question>();
  for (const [i, one] of list.entries()) {
    const { mode, url } = (one ?? {}) as { mode?: unknown; url?: unknown };
    if (mode !== 'url' || typeof url !== 'string')
      return new WireFault('protocol', false, 'error -32042 with an elicitation that is no url');
    questions.set(`url-${i + 1}`, { method: 'elicitation/create', params: Buffer.from(JSON.stringify(one)) });
  }
  return new InputRequired(questions, null);
}
