import type { Call, CallWith, Client, Now } from '../../core/call.ts';
import { MODERN_REVISION } from '../../core/call.ts';
import type { Refusal, Stage } from '../../core/stage.ts';
import { refuse } from './refusals.ts';

export type SessionStage = Stage<'endpoint' | 'principal', 'client'>;

const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

/** Who speaks: a modern request says so itself; a legacy one by the session it names. */
export function sessionStage(): SessionStage {
  return {
    name: 'authentication.session',
    leaves: 'client',
    run(call: CallWith<'endpoint' | 'principal'>, _now: Now): Client | Refusal {
      const { message } = call as Call;
      if (message?.revision !== MODERN_REVISION) return refuse('authentication.session', 'no session');
      const meta = message.params['_meta'] as Readonly<Record<string, unknown>> | undefined;
      const capabilities = (meta?.[CAPABILITIES] ?? {}) as Readonly<Record<string, unknown>>;
      return { revision: MODERN_REVISION, capabilities, name: '', version: '', session: null };
    },
  };
}
