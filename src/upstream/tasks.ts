import { type Edit, objectEdits } from '../core/mcp/patch.ts';
import { type DocumentSpans, isObjectAt, parseSpan, scanDocument } from '../core/mcp/scanner.ts';
import type { Refusal } from '../core/stage.ts';
import { lacking, MAX_QUESTIONS, questionIn } from './asked.ts';
import { type Bridged, missingFor } from './capabilities.ts';
import { WireFault } from './wire.ts';

/**
 * The state of a task as a server says it (protocol.md 1.11): flat members of a result, of `tasks/get`, or of a
 * notification. Everything in it is attacker-controlled.
 */
const STATUSES = ['working', 'input_required', 'completed', 'failed', 'cancelled'] as const;
type Status = (typeof STATUSES)[number];

/** Longest id of an upstream, in bytes as JSON: sealed, it has to fit into a header. */
const MAX_ID = 1_024;
/** What holds the outcome, or the questions, and in which status. */
const OF_STATUS: Readonly<Record<string, Status>> = {
  inputRequests: 'input_required',
  result: 'completed',
  error: 'failed',
};
const DAY_MS = 86_400_000;
const TIME = /^\d{4}-\d{2}-\d{2}T[0-9:.]{5,20}(?:Z|[+-]\d{2}:\d{2})$/;

/** How a task is named towards the client. */
export interface TaskNames {
  /** The upstream's id of the task this request is about; null for a call that may begin one. */
  readonly id: string | null;
  /** The id the client knows a task by. @param ttlMs how long the upstream keeps it; null: for ever */
  name(id: string, ttlMs: number | null): string;
}

/**
 * Edits that make the state of a task what this client may read: under its own id, with questions it declared it can be
 * asked, and no longer kept than its id is good.
 * @param begun a fresh one, which has no outcome and asks nothing yet
 */
export function taskEdits(
  bytes: Uint8Array,
  document: DocumentSpans,
  names: TaskNames,
  bridge: Bridged,
  begun: boolean,
): Edit[] | Refusal | WireFault {
  const members = document.members!;
  const at = (name: string) => {
    const span = members.get(name);
    return span && !isObjectAt(bytes, span) ? parseSpan(bytes, span) : undefined;
  };
  const id = at('taskId');
  const status = at('status');
  const ttlMs = members.has('ttlMs') ? at('ttlMs') : null;
  if (typeof id !== 'string' || id === '' || json(id).length > MAX_ID) return fault('taskId is no id');
  if (names.id !== null && names.id !== id) return fault('it is about another task');
  if (!isStatus(status)) return fault('an unknown status');
  if (ttlMs !== null && !isWhole(ttlMs)) return fault('ttlMs is no time');
  if (members.has('pollIntervalMs') && !isWhole(at('pollIntervalMs'))) return fault('pollIntervalMs is no time');
  for (const time of ['createdAt', 'lastUpdatedAt'])
    if (!TIME.test(String(at(time)))) return fault(`${time} is no time`);
  if (members.has('statusMessage') && typeof at('statusMessage') !== 'string') return fault('statusMessage is no text');
  for (const [name, of] of Object.entries(OF_STATUS)) {
    const span = members.get(name);
    const wanted = !begun && status === of;
    if (span ? !wanted || !isObjectAt(bytes, span) : wanted) return fault(`${name} does not fit ${status}`);
  }
  const asks = members.get('inputRequests');
  const refused = asks && judgeQuestions(bytes.subarray(asks.start, asks.end), bridge);
  if (refused) return refused;
  const edits: Edit[] = [{ span: members.get('taskId')!, replacement: json(names.name(id, ttlMs)) }];
  const ttl = members.get('ttlMs');
  if (ttlMs === null || ttlMs > DAY_MS) {
    if (ttl) edits.push({ span: ttl, replacement: json(DAY_MS) });
    else edits.push(...objectEdits(bytes, document.value, { insert: [{ name: 'ttlMs', value: json(DAY_MS) }] }));
  }
  return edits;
}

function judgeQuestions(requests: Uint8Array, bridge: Bridged): Refusal | WireFault | null {
  const document = scanDocument(requests);
  if (typeof document === 'string' || !document.members) return fault('inputRequests is no object');
  if (document.members.size > MAX_QUESTIONS) return fault(`more than ${MAX_QUESTIONS} questions`);
  for (const span of document.members.values()) {
    const question = questionIn(requests.subarray(span.start, span.end));
    if (question === null) return fault('a question no client can be asked');
    const missing = missingFor(question, bridge);
    if (missing) return lacking(missing, `asks ${question.method} of a client that did not declare it`);
  }
  return null;
}

function isStatus(value: unknown): value is Status {
  return (STATUSES as readonly unknown[]).includes(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

function fault(evidence: string): WireFault {
  return new WireFault('protocol', true, `task: ${evidence}`);
}
