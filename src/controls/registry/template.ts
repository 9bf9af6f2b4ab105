/**
 * URI templates, RFC 6570 level 1 (`{name}` alone), matched in linear time and without a way to climb: one variable per
 * path segment, none in scheme or authority, and no value that decodes to a separator, a dot segment or another escape.
 * One spelling for each value, that of RFC 6570: policy compares addresses whole, and servers decode them.
 */
export interface UriTemplate {
  readonly template: string;
  matches(uri: string): boolean;
}

const MAX_URI = 2048;
const MAX_VALUE = 256;
/** Characters that stand for themselves, and escapes of all others (upper case; never of one of the former). */
const VALUE = /^(?:[A-Za-z0-9._~-]|%(?!2[DE]|3\d|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])[0-9A-F]{2})+$/;

interface Segment {
  readonly before: string;
  /** Null when the segment is literal and `before` is all of it. */
  readonly after: string | null;
}

/** Compiles a template, or says why it cannot be served. */
export function compileTemplate(template: string): UriTemplate | { readonly fault: string } {
  const segments: Segment[] = [];
  for (const part of template.split('/')) {
    const pieces = /^([^{}]*)(?:\{([^{}]*)\}([^{}]*))?$/.exec(part);
    if (!pieces) return { fault: 'a path segment may hold one variable' };
    const [, before = '', variable, after = ''] = pieces;
    if (variable !== undefined && !/^[A-Za-z0-9_]{1,64}$/.test(variable)) {
      return { fault: 'only plain variables like {id} are served (RFC 6570 level 1)' };
    }
    segments.push({ before, after: variable === undefined ? null : after });
  }
  const authority = template.includes('://') ? 3 : 1;
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:/.test(template)) return { fault: 'it must begin with a literal scheme' };
  if (segments.slice(0, authority).some((segment) => segment.after !== null)) {
    return { fault: 'scheme and authority must be literal' };
  }
  if (segments.every((segment) => segment.after === null)) return { fault: 'it has no variable; pin it as a resource' };
  return { template, matches: (uri) => matchesSegments(segments, uri) };
}

function matchesSegments(segments: readonly Segment[], uri: string): boolean {
  if (uri.length > MAX_URI) return false;
  const parts = uri.split('/', segments.length + 1);
  return parts.length === segments.length && segments.every((segment, i) => matchesSegment(segment, parts[i]!));
}

function matchesSegment({ before, after }: Segment, part: string): boolean {
  if (after === null) return part === before;
  if (!part.startsWith(before) || !part.endsWith(after)) return false;
  const value = part.slice(before.length, part.length - after.length);
  return (
    part.length > before.length + after.length &&
    value.length <= MAX_VALUE &&
    VALUE.test(value) &&
    staysInPlace(value) &&
    staysInPlace(part)
  );
}

/** Decoded once, it must neither climb nor separate, nor still hold an escape for a second decoder to find. */
function staysInPlace(text: string): boolean {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    // Escapes that are not UTF-8 mean whatever the server behind us takes them for.
    return false;
  }
  return !/[/\\%\p{Cc}]/u.test(decoded) && decoded !== '.' && decoded !== '..';
}
