/**
 * Tells most keys apart by their length and at most sixteen of their bytes: names differ at their ends, or in the
 * middle. Who wants two keys to collide can have it, as with any hash that has no secret; so it only ever saves a
 * comparison, among few keys, and is never the answer.
 */
export function hashOfKey(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = length;
  const tail = length <= SAMPLED ? start : end - SAMPLED + 4;
  if (tail > start) {
    const middle = start + (length >> 1);
    for (let i = middle - 2; i < middle + 2; i++) hash = Math.imul(hash ^ bytes[i]!, HASH_PRIME);
  }
  for (let i = tail; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, HASH_PRIME);
  return hash;
}

const SAMPLED = 16;
/** Of FNV-1a. */
const HASH_PRIME = 0x01000193;

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

/** Members of a result that are asked for; no decoder is misled there. */
const RESULT_NAMES = ['resultType', 'content', 'structuredContent', 'isError', 'type', '_meta'] as const;

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

interface Spelled {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A closed list of names, found by their bytes, so that no string is made for what comes with nearly every message. */
export class NameTable<N extends string> {
  readonly #slots: (readonly (Spelled & { readonly name: N })[])[] = Array.from({ length: 256 }, () => []);

  constructor(names: Iterable<N>) {
    for (const name of new Set(names)) {
      const bytes = Buffer.from(name);
      const slot = slotOf(hashOfKey(bytes, 0, bytes.length));
      this.#slots[slot] = [...this.#slots[slot]!, { name, bytes }];
    }
  }

  /** The name these bytes spell (no escapes), or null. @param hash their `hashOfKey` */
  find(bytes: Uint8Array, start: number, end: number, hash = hashOfKey(bytes, start, end)): N | null {
    const slot = this.#slots[slotOf(hash)]!;
    for (let k = 0; k < slot.length; k++) if (spells(slot[k]!, bytes, start, end)) return slot[k]!.name;
    return null;
  }
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & 255;
}

function spells({ bytes: known }: Spelled, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}

/** By level: envelope, params, _meta; then any other document. */
export const KNOWN_NAMES: readonly NameTable<string>[] = [ENVELOPE_NAMES, PARAMS_NAMES, META_NAMES, RESULT_NAMES].map(
  (names) => new NameTable<string>(names),
);
