import { type Head, MODERN_REVISION } from '../../core/call.ts';
import { trimOws } from '../../core/mcp/mcp-headers.ts';
import type { RefusalsOf } from '../../core/mcp/refusals.ts';

/**
 * What a request head must be, decided from its bytes: attacker-controlled, before any of it was trusted. Pure; no URL
 * object, no regular expression. Each function returns the refusal, or null.
 */
export type Fault = RefusalsOf<'transport'> | null;

/** Headers somebody decides by. Two of them are two readers of one message: the proxy before us may have used the other. */
const SINGLE = [
  'host',
  'origin',
  'authorization',
  'dpop',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'expect',
  'cookie',
  'last-event-id',
  'traceparent',
  // Of those that begin with `mcp-` the ones nearly every request has.
  'mcp-protocol-version',
  'mcp-session-id',
  'mcp-method',
  'mcp-name',
].map((name, bit) => ({ name, first: name.charCodeAt(0), bit: 1 << bit }));
/** By length: a name that is none of them is mostly told by that and its first letter, unread and unhashed. */
const SINGLE_OF_LENGTH = Array.from({ length: 24 }, (_, length) => SINGLE.filter(({ name }) => name.length === length));
const HOST_BIT = 1;

/** The bit of a name that may stand only once, whatever its case; 0: it is not among them. */
function singleBit(name: string): number {
  if (name.length >= SINGLE_OF_LENGTH.length) return 0;
  const alike = SINGLE_OF_LENGTH[name.length]!;
  for (let i = 0; i < alike.length; i++) {
    const single = alike[i]!;
    if ((name.charCodeAt(0) | 0x20) !== single.first) continue;
    if (name === single.name || name.toLowerCase() === single.name) return single.bit;
  }
  return 0;
}

/** Exactly one Host; no other header that somebody decides by twice; not more lines than were asked for. `rawHeaders` as sent. */
export function headerLines(rawHeaders: readonly string[], maxHeaders: number): Fault {
  if (rawHeaders.length > maxHeaders * 2) return 'transport.framing';
  let seen = 0;
  let mcp: Set<string> | null = null;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const bit = singleBit(name);
    if (bit !== 0) {
      if ((seen & bit) !== 0) return bit === HOST_BIT ? 'transport.host' : 'transport.framing';
      seen |= bit;
    } else if (startsWithMcp(name)) {
      mcp ??= new Set();
      const lower = name.toLowerCase();
      if (mcp.has(lower)) return 'transport.framing';
      mcp.add(lower);
    }
  }
  return (seen & HOST_BIT) === 0 ? 'transport.host' : null;
}

function startsWithMcp(name: string): boolean {
  return (
    name.length > 4 &&
    (name.charCodeAt(0) | 0x20) === 0x6d &&
    (name.charCodeAt(1) | 0x20) === 0x63 &&
    (name.charCodeAt(2) | 0x20) === 0x70 &&
    name.charCodeAt(3) === 0x2d
  );
}

/**
 * HTTP/1.1; or 1.0, as some proxies speak it. That knows no chunks (RFC 9112 6.1): who is before us may see another end of
 * the body. Node's parser takes a line with any other version, and one with none.
 */
export function spoken({ version, headers }: Pick<Head, 'version' | 'headers'>): Fault {
  if (version === '1.1') return null;
  return version === '1.0' && headers['transfer-encoding'] === undefined ? null : 'transport.framing';
}

/** A request target in absolute form names a host of its own, which must be the one of the Host header. */
export function splitTarget(path: string): { readonly host: string | null; readonly path: string } {
  if (path.charCodeAt(0) === 0x2f) return { host: null, path };
  const scheme = path.slice(0, 8).toLowerCase();
  const start = scheme === 'https://' ? 8 : scheme.startsWith('http://') ? 7 : 0;
  if (start === 0) return { host: null, path };
  const slash = path.indexOf('/', start);
  return slash === -1
    ? { host: path.slice(start), path: '/' }
    : { host: path.slice(start, slash), path: path.slice(slash) };
}

/** One framing, no half-way agreement: HTTP parsers before and behind us must see the same end of the body. */
export function framing(headers: Head['headers'], maxBodyBytes: number): Fault {
  if (headers['expect'] !== undefined) return 'transport.framing';
  const length = headers['content-length'];
  const transfer = headers['transfer-encoding'];
  if (transfer !== undefined && (length !== undefined || transfer !== 'chunked')) return 'transport.framing';
  if (length === undefined) return null;
  if (typeof length !== 'string' || !isDigits(length) || length.length > 15) return 'transport.framing';
  return Number(length) > maxBodyBytes ? 'transport.too_large' : null;
}

function isDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x30 || c > 0x39) return false;
  }
  return text.length > 0;
}

/**
 * JSON in UTF-8 and nothing else: a content type a form can send would let any web page call without a preflight (BR-03).
 */
export function mediaType(headers: Head['headers']): Fault {
  const coding = headers['content-encoding'];
  if (coding !== undefined && (typeof coding !== 'string' || coding.toLowerCase() !== 'identity'))
    return 'transport.media_type';
  const type = headers['content-type'];
  if (type === 'application/json') return null;
  if (typeof type !== 'string') return 'transport.media_type';
  const [essence, ...parameters] = type.toLowerCase().split(';');
  if (essence!.trim() !== 'application/json' || parameters.length > 1) return 'transport.media_type';
  const charset = parameters[0]?.trim();
  return charset === undefined || charset === 'charset=utf-8' || charset === 'charset="utf-8"'
    ? null
    : 'transport.media_type';
}

/** The caller must be able to read both forms an answer can take. */
export function acceptable(headers: Head['headers']): Fault {
  const accept = headers['accept'];
  if (accept === 'application/json, text/event-stream' || accept === '*/*') return null;
  if (typeof accept !== 'string') return 'transport.not_acceptable';
  const { json, events } = ranges(accept);
  return json && events ? null : 'transport.not_acceptable';
}

function ranges(accept: string): { readonly json: boolean; readonly events: boolean } {
  let json = false;
  let events = false;
  for (const range of accept.toLowerCase().split(',')) {
    const [type, ...parameters] = range.split(';');
    if (parameters.some(isZeroQuality)) continue;
    const name = type!.trim();
    json ||= name === 'application/json' || name === 'application/*' || name === '*/*';
    events ||= name === 'text/event-stream' || name === 'text/*' || name === '*/*';
  }
  return { json, events };
}

/**
 * GET and DELETE, of legacy sessions alone (protocol.md 1.2, 1.6): whoever names a modern revision has no session. Whether
 * there is one is judged behind authentication, so that a stranger learns nothing but that he has to sign in.
 */
export function bodiless({ method, headers }: Pick<Head, 'method' | 'headers'>): Fault {
  if (method !== 'GET' && method !== 'DELETE') return 'transport.method';
  const version = headers['mcp-protocol-version'];
  if (version !== undefined && (typeof version !== 'string' || trimOws(version) >= MODERN_REVISION))
    return 'transport.method';
  // A body here would be read by some and left on the connection by others.
  const length = headers['content-length'];
  if (headers['expect'] !== undefined || headers['transfer-encoding'] !== undefined) return 'transport.framing';
  if (length !== undefined && length !== '0') return 'transport.framing';
  return method === 'DELETE' || readsEvents(headers['accept']) ? null : 'transport.not_acceptable';
}

function readsEvents(accept: Head['headers'][string]): boolean {
  return typeof accept === 'string' && ranges(accept).events;
}

function isZeroQuality(parameter: string): boolean {
  const text = parameter.trim();
  return text.startsWith('q=') && Number(text.slice(2)) === 0;
}
