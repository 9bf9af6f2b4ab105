/** W3C Trace Context (level 1) as it may stand in `_meta`; what is not well formed is not continued (protocol.md 1.14). */
const PARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const STATE_KEY = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/;
const STATE_VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}$/;
const MAX_STATE = 512;
const MAX_STATE_MEMBERS = 32;

export function isTraceParent(value: unknown): boolean {
  return typeof value === 'string' && PARENT.test(value);
}

export function isTraceState(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > MAX_STATE) return false;
  const members = value.split(',');
  if (members.length > MAX_STATE_MEMBERS) return false;
  return members.every((member) => {
    const [key, state, ...more] = member.trim().split('=');
    return more.length === 0 && STATE_KEY.test(key!) && state !== undefined && STATE_VALUE.test(state);
  });
}
