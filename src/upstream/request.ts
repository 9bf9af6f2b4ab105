import type { CallSignal, Client, Message, Principal, Target } from '../core/call.ts';
import type { Answers, Question } from '../core/questions.ts';
import type { TaskNames } from './tasks.ts';

/** One judged call, ready to go out. */
export interface UpstreamRequest {
  readonly target: Target;
  readonly principal: Principal;
  readonly message: Message;
  /** Who is served: what may be asked of it, and in which words. */
  readonly client: Client;
  /** Answers to what the upstream asked in the round before, with the state it gave; null: the first round. */
  readonly answers: Answers | null;
  /** What those answer, where it is known: an error in place of an answer means something else for each kind of question. */
  readonly asked?: ReadonlyMap<string, Question>;
  /** Bytes of the arguments to execute when they are not those of the message (an approved call), else null. */
  readonly approved: Uint8Array | null;
  /** How tasks are named towards this client; null: it did not declare on this request that it takes any. */
  readonly tasks?: TaskNames | null;
  readonly maxResultBytes: number;
  readonly signal: CallSignal;
  /** Takes notifications of the upstream that belong to this call; tokens already mapped back. Null: nobody listens. */
  readonly onNotification: ((notification: Uint8Array) => void) | null;
}

/** Live definitions of a server: what it says of itself, never what we serve. Each item is one JSON object. */
export interface LiveDefinitions {
  /** Parts of the protocol it declares. */
  readonly capabilities?: Readonly<Record<string, unknown>>;
  readonly tools: readonly Readonly<Record<string, unknown>>[];
  readonly prompts: readonly Readonly<Record<string, unknown>>[];
  readonly resources: readonly Readonly<Record<string, unknown>>[];
  readonly templates: readonly Readonly<Record<string, unknown>>[];
}
