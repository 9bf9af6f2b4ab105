import type { Found } from '../types.ts';

const BEGIN = '-----BEGIN ';
/** Markers are short; what claims to be a longer one is prose. */
const LABEL_MAX = 64;
/** Blanks, line ends written as \n in an embedded text, quotes of source code, RFC 1421 headers. */
const BODY =
  /^(?:\s|\\[nr]|["'+])*(?:(?:Proc-Type|DEK-Info|Version|Comment|Hash):[^\n]{0,200}\n\s*)*[A-Za-z0-9+/=]{16}/;
const NOTHING = /^(?:\s|\\[nr]|["'+,])*$/;

/** A block that begins here and ends in a later string: keys are sometimes sent as an array of lines. */
export const OPEN_RULE = 'private_key.open';

/** PEM and OpenSSH private keys as whole blocks; PuTTY key files. A marker quoted in prose has no body and is no key. */
export function findPrivateKeys(text: string): Found[] {
  const found: Found[] = [];
  for (let at = text.indexOf(BEGIN); at >= 0; at = text.indexOf(BEGIN, at + 1)) {
    const labelEnd = text.indexOf('-----', at + BEGIN.length);
    if (labelEnd < 0) break;
    const label = text.slice(at + BEGIN.length, labelEnd);
    if (label.length > LABEL_MAX || !/PRIVATE KEY/i.test(label)) continue;
    const bodyStart = labelEnd + 5;
    const body = text.slice(bodyStart, bodyStart + 1024);
    if (!BODY.test(body) && !NOTHING.test(body)) continue;
    const close = text.indexOf('-----END ', bodyStart);
    if (close < 0) {
      found.push(key(at, text.length, NOTHING.test(body) ? OPEN_RULE : 'private_key.cut'));
      break;
    }
    const closeEnd = text.indexOf('-----', close + 9);
    const end = closeEnd < 0 ? text.length : closeEnd + 5;
    found.push(key(at, end, 'private_key.pem'));
    at = end - 1;
  }
  for (let at = text.indexOf(PUTTY); at >= 0; at = text.indexOf(PUTTY, at)) {
    PUTTY_END.lastIndex = at;
    const end = PUTTY_END.test(text) ? PUTTY_END.lastIndex : text.length;
    found.push(key(at, end, 'private_key.putty'));
    at = end;
  }
  return found;
}

const PUTTY = 'PuTTY-User-Key-File-';
const PUTTY_END = /Private-MAC: ?[0-9a-f]{0,128}/g;

function key(start: number, end: number, rule: string): Found {
  return { type: 'PRIVATE_KEY', start, end, rule, value: '' };
}
