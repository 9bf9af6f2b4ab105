import type { Found } from '../types.ts';

/** How many `eyJ` of one segment are tried as the start of a header. */
const MAX_TRIES = 8;
/** A header is small: decode no more of it. */
const HEADER_MAX = 4096;
const URL64 = /[A-Za-z0-9_-]/;

/** JWS and JWE in compact form: the first segment decodes to a JSON object with `alg`. */
export function findJwts(text: string): Found[] {
  const found: Found[] = [];
  let at = text.indexOf('eyJ');
  while (at >= 0) {
    let segmentEnd = at;
    while (segmentEnd < text.length && URL64.test(text[segmentEnd]!)) segmentEnd++;
    let start = at;
    for (let tries = 0; tries < MAX_TRIES && start >= 0 && start < segmentEnd; tries++) {
      if (text[segmentEnd] === '.' && isHeader(text.slice(start, segmentEnd))) break;
      const next = text.indexOf('eyJ', start + 1);
      start = next < segmentEnd ? next : -1;
    }
    let end = segmentEnd;
    if (start >= 0 && start < segmentEnd && text[segmentEnd] === '.' && isHeader(text.slice(start, segmentEnd))) {
      while (end < text.length && (URL64.test(text[end]!) || text[end] === '.')) end++;
      while (text[end - 1] === '.' && end > segmentEnd + 2) end--;
      found.push({ type: 'JWT_BEARER', start, end, rule: 'jwt', value: '' });
    }
    at = text.indexOf('eyJ', end);
  }
  return found;
}

function isHeader(segment: string): boolean {
  if (segment.length > HEADER_MAX) return false;
  try {
    const header: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'));
    return typeof header === 'object' && header !== null && typeof (header as { alg?: unknown }).alg === 'string';
  } catch {
    return false;
  }
}
