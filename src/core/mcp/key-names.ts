/** FNV-1a over the bytes of a key; the scanner computes the same while it reads. */
export const HASH_SEED = 0x811c9dc5 | 0;
export const HASH_PRIME = 0x01000193;

/** Members of the JSON-RPC envelope, of `params` and of `params._meta` that some decoder gives a meaning. */
export const ENVELOPE_NAMES = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;
export const PARAMS_NAMES = [
  'name',
  'arguments',
  'uri',
  '_meta',
  'cursor',
  'ref',
  'argument',
  'context',
  'taskId',
  'task',
  'requestState',
  'inputResponses',
  'notifications',
  'requestId',
  'reason',
  'progressToken',
  'progress',
  'level',
  'protocolVersion',
  'capabilities',
  'clientInfo',
] as const;
export const META_NAMES = [
  'io.modelcontextprotocol/protocolVersion',
  'io.modelcontextprotocol/clientCapabilities',
  'io.modelcontextprotocol/clientInfo',
  'io.modelcontextprotocol/logLevel',
  'io.modelcontextprotocol/subscriptionId',
  'progressToken',
  'traceparent',
  'tracestate',
  'baggage',
] as const;

const KNOWN = [
  { exact: new Set<string>(ENVELOPE_NAMES), folded: new Set(ENVELOPE_NAMES.map(foldKey)) },
  { exact: new Set<string>(PARAMS_NAMES), folded: new Set(PARAMS_NAMES.map(foldKey)) },
  { exact: new Set<string>(META_NAMES), folded: new Set(META_NAMES.map(foldKey)) },
] as const;

/**
 * How a lenient decoder may read a key: Go's encoding/json ignores ASCII case and folds the long s and the Kelvin
 * sign onto s and k; C readers stop at a NUL.
 */
export function foldKey(key: string): string {
  let end = key.length;
  while (end > 0 && key.charCodeAt(end - 1) === 0) end--;
  return key.slice(0, end).replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}

/** True when `key` is not a known member of this level but a lenient decoder would take it for one. Level 0: envelope, 1: params, 2: _meta. */
export function disguised(level: number, key: string): boolean {
  const known = KNOWN[level];
  return known !== undefined && !known.exact.has(key) && known.folded.has(foldKey(key));
}

interface Interned {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Names that come with nearly every message, found by hash, so that no string is made for them. */
const SLOTS: (readonly Interned[])[] = Array.from({ length: 256 }, () => []);
for (const name of new Set<string>([...ENVELOPE_NAMES, ...PARAMS_NAMES, ...META_NAMES])) {
  const bytes = Buffer.from(name);
  let hash = HASH_SEED;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, HASH_PRIME);
  SLOTS[hash & 255] = [...SLOTS[hash & 255]!, { name, bytes }];
}

/** The known name these bytes spell (no escapes), or null. */
export function internedName(bytes: Uint8Array, start: number, end: number, hash: number): string | null {
  for (const entry of SLOTS[hash & 255]!) {
    if (sameBytes(entry.bytes, bytes, start, end)) return entry.name;
  }
  return null;
}

function sameBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
