import type { CallWith, ErrorMode, Result, Target } from '../../core/call.ts';
import { isTaskMethod } from '../../core/mcp/tasks.ts';
import type { Stage } from '../../core/stage.ts';
import { diagnosticsIn } from './diagnostics.ts';
import { maySayIsError } from './is-error.ts';
import { mistakeIn } from './mistakes.ts';
import {
  diagnosticsInTree,
  genericText,
  publicCode,
  scrubbedToolResult,
  toldText,
  toolFailure,
  WORD,
} from './scrub.ts';
import type { ErrorsSettings } from './settings.ts';

/** What did not fail goes on as the same object, unread. A failure is told as far as the target's mode allows. */
export function errorsStage(settings: ErrorsSettings): Stage<'message' | 'target' | 'result', 'scrubbed'> {
  return {
    name: 'errors',
    leaves: 'scrubbed',
    run(call) {
      const { result, target } = call;
      const mode = modeOf(target, settings);
      if (result.kind === 'error') {
        const inBand = target.kind === 'tool' && !isTaskMethod(call.message?.method ?? '');
        return fromProtocolError(result, inBand, mode, call, settings.maxMessageCharacters);
      }
      if (result.task) return fromTask(result, mode, call.id, settings.maxMessageCharacters);
      if (target.kind !== 'tool' || mode === 'verbatim' || !maySayIsError(result.bytes)) return result;
      return fromToolError(result, mode, call);
    },
  };
}

type Failed = CallWith<'message' | 'target' | 'result'>;

/** What the client wrote, not what redaction made of it: only that is surely no news to him. */
function argumentsOf({ message }: Failed): unknown {
  return message?.params['arguments'];
}

function modeOf(target: Target, settings: ErrorsSettings): ErrorMode {
  return target.errors === 'verbatim' && !settings.allowVerbatim ? 'scrub' : target.errors;
}

/** The state of a task as it is told in a notification: what the stage does to the one that was asked for. */
export function errorsInTask(settings: ErrorsSettings): (state: Result, target: Target, callId: string) => Result {
  return (state, target, callId) => fromTask(state, modeOf(target, settings), callId, settings.maxMessageCharacters);
}

/**
 * A task that failed bears the error of its call, one that ended the result, which may say `isError`; and each state a
 * sentence of the server's own. All of them are told as they would be without a task.
 */
function fromTask(state: Result, mode: ErrorMode, callId: string, longest: number): Result {
  if (mode === 'verbatim') return state;
  const view = asRecord(state.view());
  const told: Record<string, unknown> = {};
  const { result, error, statusMessage } = view;
  if (error !== undefined) told['error'] = toldError(asRecord(error), mode, callId, longest);
  if (result !== undefined) {
    const failure = failureOf(asRecord(result), mode, callId);
    if (failure !== null) told['result'] = failure;
  }
  if (statusMessage !== undefined && !isTold(statusMessage, mode, longest)) told['statusMessage'] = undefined;
  return Object.keys(told).length === 0 ? state : { ...replaced(state, 'result', { ...view, ...told }), task: true };
}

/** A sentence of a server is kept back where nothing of a failure may be told, since it may tell of one. */
function isTold(message: unknown, mode: ErrorMode, longest: number): boolean {
  return typeof message === 'string' && toldMessage(message, mode, longest) === message;
}

/** `isError: true`, in the tool's own words. */
function fromToolError(result: Result, mode: ErrorMode, call: Failed): Result {
  const failure = failureOf(asRecord(result.view()), mode, call.id, argumentsOf(call));
  return failure === null ? result : replaced(result, 'result', failure);
}

/** What is told instead of the result of a tool; null: it is told as it is. */
function failureOf(
  view: Readonly<Record<string, unknown>>,
  mode: ErrorMode,
  callId: string,
  args?: unknown,
): object | null {
  // Clients differ in what they take for true: whatever is not plainly false is treated as a failure.
  if (view['isError'] === undefined || view['isError'] === false) return null;
  if (mode === 'generic') return toolFailure(genericText(callId), callId);
  return diagnosticsInTree(view) === null ? null : scrubbedToolResult(view, callId, args);
}

/** A JSON-RPC error: for a tool a result the model can read, for everything else an error with a code that is the caller's. */
function fromProtocolError(result: Result, inBand: boolean, mode: ErrorMode, call: Failed, longest: number): Result {
  const error = asRecord(result.view());
  if (!inBand) return replaced(result, 'error', toldError(error, mode, call.id, longest));
  const said = error['message'];
  const mistake = mode === 'scrub' && typeof said === 'string' ? mistakeIn(said, argumentsOf(call)) : null;
  const message = toldMessage(said, mode, longest) ?? mistake;
  const text = message === null ? genericText(call.id) : toldText(message, call.id);
  return replaced(result, 'result', toolFailure(text, call.id));
}

/** A JSON-RPC error with a code that is the caller's. */
function toldError(error: Readonly<Record<string, unknown>>, mode: ErrorMode, callId: string, longest: number): object {
  const message = toldMessage(error['message'], mode, longest);
  const uri = asRecord(error['data'])['uri'];
  const code = publicCode(error['code']);
  return {
    code,
    message: message ?? `The server could not answer. Its operator has the details; quote correlation id ${callId}.`,
    data: {
      code: WORD,
      correlationId: callId,
      // "Not found" says what was not found (protocol.md 1.5); nothing else of `data` is told.
      ...(code === -32602 && mode !== 'generic' && typeof uri === 'string' && diagnosticsIn(uri) === null
        ? { uri }
        : {}),
    },
  };
}

function toldMessage(message: unknown, mode: ErrorMode, longest: number): string | null {
  if (mode === 'generic' || typeof message !== 'string' || message.trim() === '') return null;
  if (mode === 'scrub' && diagnosticsIn(message) !== null) return null;
  if (message.length <= longest) return message;
  // Between two words where there is a blank: half of a secret is not known for one.
  const head = message.slice(0, longest);
  const blank = head.search(/\s\S*$/);
  return `${(blank > 0 ? head.slice(0, blank) : head).toWellFormed()}…`;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function replaced(original: Result, kind: Result['kind'], value: object): Result {
  return {
    kind,
    bytes: Buffer.from(JSON.stringify(value)),
    view: () => value,
    diagnostics: original.bytes,
  };
}
