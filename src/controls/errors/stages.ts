import type { ErrorMode, Result, Target } from '../../core/call.ts';
import type { Stage } from '../../core/stage.ts';
import { diagnosticsIn } from './diagnostics.ts';
import { maySayIsError } from './is-error.ts';
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
export function errorsStage(settings: ErrorsSettings): Stage<'target' | 'result', 'scrubbed'> {
  return {
    name: 'errors',
    leaves: 'scrubbed',
    run(call) {
      const { result, target } = call;
      const mode: ErrorMode = target.errors === 'verbatim' && !settings.allowVerbatim ? 'scrub' : target.errors;
      if (result.kind === 'error')
        return fromProtocolError(result, target, mode, call.id, settings.maxMessageCharacters);
      if (target.kind !== 'tool' || mode === 'verbatim' || !maySayIsError(result.bytes)) return result;
      return fromToolError(result, mode, call.id);
    },
  };
}

/** `isError: true`, in the tool's own words. */
function fromToolError(result: Result, mode: ErrorMode, callId: string): Result {
  const view = asRecord(result.view());
  // Clients differ in what they take for true: whatever is not plainly false is treated as a failure.
  if (view['isError'] === undefined || view['isError'] === false) return result;
  if (mode === 'generic') return replaced(result, 'result', toolFailure(genericText(callId), callId));
  return diagnosticsInTree(view) === null ? result : replaced(result, 'result', scrubbedToolResult(view, callId));
}

/** A JSON-RPC error: for a tool a result the model can read, for everything else an error with a code that is the caller's. */
function fromProtocolError(result: Result, target: Target, mode: ErrorMode, callId: string, longest: number): Result {
  const error = asRecord(result.view());
  const message = toldMessage(error['message'], mode, longest);
  if (target.kind === 'tool') {
    return replaced(
      result,
      'result',
      toolFailure(message === null ? genericText(callId) : toldText(message, callId), callId),
    );
  }
  const uri = asRecord(error['data'])['uri'];
  const code = publicCode(error['code']);
  return replaced(result, 'error', {
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
  });
}

function toldMessage(message: unknown, mode: ErrorMode, longest: number): string | null {
  if (mode === 'generic' || typeof message !== 'string' || message.trim() === '') return null;
  if (mode === 'scrub' && diagnosticsIn(message) !== null) return null;
  return message.length <= longest ? message : `${message.slice(0, longest)}…`;
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
