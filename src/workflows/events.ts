import type { Call, CallWith, Now } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import type { EventJudge } from '../pipeline.ts';

/** A credential that has ended closes the way of its streams at once. */
export const credentialAlive: EventJudge = (call, notification, now) =>
  call.principal && call.principal.expiresAt > now.utc ? notification : 'authentication.expired';

/** A target that was withdrawn, changed or hidden since the call began sends nothing more. */
export function targetVisible(serves: (call: CallWith<'principal' | 'target'>, now: Now) => boolean): EventJudge {
  return (call, notification, now) => {
    if (!call.target || !call.principal) return 'authorization.unknown';
    return serves(call as CallWith<'principal' | 'target'>, now) ? notification : 'authorization.unknown';
  };
}

/**
 * Takes notifications to the client through every judge, one by one; what is dropped is dropped silently for the client
 * and noted once per call: a server that floods must not fill the operator's log as well.
 */
export function eventEmitter(
  judges: readonly EventJudge[],
  clock: () => Now,
  log: Log,
): (call: Call, notification: Uint8Array) => void {
  const noted = new WeakSet<Call>();
  return (call, notification) => {
    if (!call.events || call.signal.aborted) return;
    let bytes = notification;
    for (const judge of judges) {
      const judged = judge(call, bytes, clock());
      if (typeof judged === 'string') {
        if (!noted.has(call)) log.info('notifications dropped', { call: call.id, code: judged });
        noted.add(call);
        return;
      }
      bytes = judged;
    }
    call.events(bytes);
  };
}
