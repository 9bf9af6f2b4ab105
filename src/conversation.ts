import type { Call, Now, Principal, Target } from './core/call.ts';
import { type KeyFolder, openSymmetricKeys } from './core/crypto/keys.ts';
import type { Log } from './core/log.ts';
import { uriArguments } from './core/mcp/arguments-digest.ts';
import { Refusal } from './core/stage.ts';
import type { Controls } from './opened-controls.ts';
import { type EventJudges, eventFlow } from './pipeline.ts';
import type { UpstreamServer } from './upstream/server.ts';
import { stateFor } from './upstream/told-tasks.ts';
import { credentialAlive, eventEmitter, judged, targetVisible } from './workflows/events.ts';
import type { ListChanges } from './workflows/list-changes.ts';
import { openQuestions, type Questions } from './workflows/questions.ts';
import { openStreams, type Streams } from './workflows/streams.ts';

export interface ConversationParts {
  readonly controls: Controls;
  readonly servers: ReadonlyMap<string, UpstreamServer>;
  readonly changes: ListChanges;
  readonly keys: KeyFolder;
  readonly node: string;
  readonly clock: () => Now;
  readonly log: Log;
}

export interface Conversation {
  /** Takes a notification of a call to its client, through the event flow. */
  readonly emit: (call: Call, notification: Uint8Array) => void;
  readonly questions: Questions;
  readonly streams: Streams;
}

const NO_MESSAGE = new Uint8Array(0);

/** What goes to a client beside its answers, and comes back: events, questions, streams (flows 3 to 6), judged one by one. */
export function openConversation(parts: ConversationParts): Conversation {
  const judges = eventJudgesOf(parts.controls);
  const { clock, log } = parts;
  return {
    emit: eventEmitter(eventFlow(judges), clock, log),
    questions: questionsOf(parts, judges),
    streams: streamsOf(parts, judges),
  };
}

function eventJudgesOf({ authorization, limits, redaction, registry }: Controls): EventJudges {
  return {
    credentialAlive,
    targetVisible: targetVisible(
      ({ target, principal }, now) => registry.serves(target, now) && authorization.mayKnow(principal, target),
    ),
    budget: limits.event,
    redaction(call, bytes) {
      const left = redaction.event(bytes, {
        tenant: call.principal?.tenant ?? 'system',
        profile: call.decision?.obligations.redaction ?? null,
        task: call.scrubbed?.task === true,
      });
      return 'pass' in left ? left.pass : left.drop;
    },
  };
}

function questionsOf(parts: ConversationParts, judges: EventJudges): Questions {
  const { keys, node, clock, log } = parts;
  const { audit, authorization, limits, redaction, sessions, validation } = parts.controls;
  const all = eventFlow(judges);
  return openQuestions({
    seal: (call, state, grant, now) => validation.rounds.seal(call, state, grant, now),
    judge: (call, message, now) => judged(all, call, message, now),
    standing(call, now) {
      const left = judged([judges.credentialAlive, judges.targetVisible], call, NO_MESSAGE, now);
      if (typeof left === 'string') return left;
      // What a client of the other era would be judged by, who repeats the call with its answers.
      const decision = authorization.decide(call.principal, call.target, call.arguments, now);
      if (decision instanceof Refusal) return decision.code;
      const sameYes = decision.obligations.approval === null || decision.policy === call.decision.policy;
      return sameYes ? null : 'approval.consumed';
    },
    over: ({ client: { session } }, now) => session === null || sessions.isOver(session, now.utc),
    allows: (call, answer) => redaction.answer(call, answer),
    hold: (call) => limits.hold('waiting', call.principal, call.target),
    record: ({ principal }, { meta, payload }) => audit.record({ ...operationOf(principal), meta, payload }),
    key: openSymmetricKeys(keys, 'state-seal')[0],
    node,
    clock,
    log,
  });
}

function streamsOf(parts: ConversationParts, judges: EventJudges): Streams {
  const { servers, changes, clock, log } = parts;
  const { audit, authorization, errors, limits, registry } = parts.controls;
  const all = eventFlow(judges);
  // Hearing of a resource is as much as reading it: every scope is needed, not only that it may be known of, and what
  // policy says of its address holds.
  const allows = (principal: Principal, target: Target, uri: string, now: Now): Refusal | null => {
    if (authorization.visible(principal, target) !== 'allowed')
      return new Refusal('authorization.insufficient_scope', { scopes: target.scopes });
    const decision = authorization.decide(principal, target, uriArguments(uri), now);
    return decision instanceof Refusal ? decision : null;
  };
  // Lists are compared for this caller before anything is said of them.
  const ofLists = eventFlow({ ...judges, targetVisible: (_call, notification) => notification });
  return openStreams({
    changes,
    judge: (call, message, now) => judged(all, call, message, now),
    judgeList: (call, message, now) => judged(ofLists, call, message, now),
    targetOf({ endpoint, principal }, uri, now) {
      const target = registry.resourceAt(endpoint, principal, uri, now);
      return target && authorization.visible(principal, target) === 'allowed' ? target : null;
    },
    outline({ endpoint, principal }, server, now) {
      const visible = (target: Target) => authorization.mayKnow(principal, target);
      return registry.outline({ endpoint, principal, now, visible }, server);
    },
    servers: () => registry.servers(),
    subscribe: async (server, interest, onEvent) => (await servers.get(server)?.subscribe(interest, onEvent)) ?? null,
    allows: ({ principal }, target, uri, now) => allows(principal, target, uri, now),
    hold: (call) => limits.hold('streams', call.principal),
    tasks: {
      taskAt({ endpoint, principal }, id, now) {
        const found = registry.taskAt(endpoint, principal, id, now);
        return found && authorization.mayKnow(principal, found.target) ? found : null;
      },
      decide: ({ principal }, target, task, now) => authorization.decideTask(principal, target, task, now),
      follow: async (server, interest, onTask) => (await servers.get(server)?.followTasks(interest, onTask)) ?? null,
      stateFor(call, { target, id, own }, state) {
        const found = stateFor(call.client, { id: own, name: () => id }, state);
        return found && errors.task(found, target, call.id);
      },
      record: ({ principal }, meta, payload) => audit.record({ ...operationOf(principal), meta, payload }),
    },
    record: ({ principal }, meta) => audit.record({ ...operationOf(principal), meta }),
    clock,
    log,
  });
}

/** Whose act a record of kind `operation` is. */
function operationOf({ tenant, key }: Principal) {
  return { kind: 'operation', tenant, subject: key } as const;
}
