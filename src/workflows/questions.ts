import type { Reply } from '../core/call.ts';
import { MODERN_REVISION } from '../core/call.ts';
import type { SymmetricKey } from '../core/crypto/keys.ts';
import type { Log } from '../core/log.ts';
import { scanMessage } from '../core/mcp/scanner.ts';
import type { InputRequired, QuestionAnswer } from '../core/questions.ts';
import type { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';
import { lacking } from '../upstream/asked.ts';
import { bridged, missingFor } from '../upstream/capabilities.ts';
import type { Asking } from '../upstream/servers.ts';
import { OpenQuestions, type Taking } from './open-questions.ts';
import { inputRequired } from './round-reply.ts';
import { SessionQuestions, type SessionQuestionsParts } from './session-questions.ts';
import { TAKEN } from './sessions.ts';

type Called = Parameters<Asking['ask']>[0];

export interface QuestionsParts extends Omit<SessionQuestionsParts, 'open'> {
  /** Seals what a modern client has to bring back (controls/validation/rounds.ts). */
  readonly seal: (
    call: Called,
    state: string | null,
    grant: string | null,
    now: ReturnType<SessionQuestionsParts['clock']>,
  ) => string | Refusal;
  /** Current key of class `state-seal`. */
  readonly key: SymmetricKey;
  readonly node: string;
  readonly log: Log;
}

/** Questions of all calls of this process that wait at one time. */
const MAX_OPEN = 4_096;
/** Longer than any id of ours. */
const MAX_ID_CHARS = 256;

export interface Questions extends Asking {
  readonly answered: Stages['answered'];
  /** Ends the calls that wait for answers in a session: none can come. */
  sessionEnded(session: string): void;
}

/**
 * Questions of upstreams on their way to clients (flow 5), and the responses of legacy clients on their way back
 * (flow 6). Nobody is asked for what he did not declare, and nobody else's word is taken for his answer.
 */
export function openQuestions(parts: QuestionsParts): Questions {
  const open = new OpenQuestions({ key: parts.key, node: parts.node, max: MAX_OPEN });
  const session = new SessionQuestions({ ...parts, open });
  return {
    ask(call, asked, resume) {
      const missing = undeclared(call, asked);
      if (missing) return missing;
      return call.client.revision === MODERN_REVISION
        ? nextRound(call, asked, parts)
        : session.ask(call, asked, resume);
    },
    sessionEnded: (ended) => open.endSession(ended),
    answered: { name: 'questions.answered', leaves: 'reply', run: (call) => taken(call, open, parts.log) },
  };
}

/** Judged once more here, whatever the upstream side has let through. */
function undeclared(call: Called, asked: InputRequired): Refusal | null {
  const bridge = bridged(call.client, []);
  for (const question of asked.questions.values()) {
    const missing = missingFor(question, bridge);
    if (missing) return lacking(missing, `asks ${question.method} of a client that did not declare it`);
  }
  return null;
}

/**
 * A state goes out where one has to come back: the upstream's, or that an approval was used up for this very call.
 * Without either, the answers mean no more than other arguments of a fresh call.
 */
function nextRound(call: Called, asked: InputRequired, parts: QuestionsParts): ReturnType<typeof inputRequired> {
  const grant = call.approval.id;
  if (asked.state === null && grant === null && asked.questions.size > 0) return inputRequired(asked, null);
  const sealed = parts.seal(call, asked.state, grant, parts.clock());
  return typeof sealed === 'string' ? inputRequired(asked, sealed) : sealed;
}

/** Whatever becomes of a response, the client learns only that it came (protocol.md 1.6). */
function taken(call: Parameters<Stages['answered']['run']>[0], open: OpenQuestions, log: Log): Reply {
  const { message, principal, client } = call;
  const { id } = message;
  const answer = answerIn(message.bytes);
  let taking: Taking = 'unknown';
  if (answer && client.session && typeof id === 'string' && id.length <= MAX_ID_CHARS)
    taking = open.take({ session: client.session.id, principal: principal.key }, id, answer);
  if (taking === 'foreign') log.warn('a response to a question of somebody else was dropped', { call: call.id });
  else if (taking === 'unknown') log.info('a response to no open question was dropped', { call: call.id });
  return TAKEN;
}

function answerIn(bytes: Uint8Array): QuestionAnswer | null {
  const spans = scanMessage(bytes);
  if (typeof spans === 'string') return null;
  const [kind, span] = spans.result ? (['result', spans.result] as const) : (['error', spans.error] as const);
  return span && { kind, bytes: bytes.subarray(span.start, span.end) };
}
