import type { Call, CallWith, Now } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import type { RefusalCode } from '../core/mcp/refusals.ts';
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

/** One message through every judge: the bytes that may go to the client, or why none may. */
export function judged(
  judges: readonly EventJudge[],
  call: Call,
  message: Uint8Array,
  now: Now,
): Uint8Array | RefusalCode {
  let bytes = message;
  for (const judge of judges) {
    const left = judge(call, bytes, now);
    if (typeof left === 'string') return left;
    bytes = left;
  }
  return bytes;
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
    const left = judged(judges, call, notification, clock());
    if (typeof left !== 'string') return call.events(left);
    if (!noted.has(call)) log.info('notifications dropped', { call: call.id, code: left });
    noted.add(call);
  };
}
