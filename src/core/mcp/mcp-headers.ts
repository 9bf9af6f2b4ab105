import type { Message, Target } from '../call.ts';
import { parseSpan } from './scanner.ts';

/**
 * The headers by which a 2026-07-28 request repeats parts of its body (protocol.md 1.4, SEP-2243). They are never
 * trusted: coming in they must equal the body, going out they are computed from what is sent.
 */

const PREFIX = '=?base64?';
const SUFFIX = '?=';
const CANONICAL_BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const ASCII = /^[\x00-\x7f]*$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Lower case, as node:http gives header names. */
export const PARAM_HEADER_PREFIX = 'mcp-param-';

/** Which member of `params` the header Mcp-Name repeats, by method. */
const NAME_SOURCE = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
} as const satisfies Record<string, NameMember>;
export type NameMember = 'name' | 'uri' | 'taskId';

/** `name`, `uri`, `taskId`, or null when this method has no Mcp-Name. */
export function mcpNameSource(method: string): NameMember | null {
  return Object.hasOwn(NAME_SOURCE, method) ? NAME_SOURCE[method as keyof typeof NAME_SOURCE] : null;
}

/** Without the optional white space (blank, tab) that RFC 9110 allows around a field value. */
export function trimOws(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isOws(value.charCodeAt(start))) start++;
  while (end > start && isOws(value.charCodeAt(end - 1))) end--;
  return start === 0 && end === value.length ? value : value.slice(start, end);
}

function isOws(c: number): boolean {
  return c === 0x20 || c === 0x09;
}

/**
 * The text a header value stands for: literal, or the UTF-8 inside the base64 marks (lower case, both present).
 * @returns null when the marks are there but padding, alphabet or UTF-8 are not right, and for a literal that is not
 * ASCII: the bytes are one text in Latin-1, as node:http reads them, and may be another to the front that routed by them
 */
export function decodeHeaderValue(raw: string): string | null {
  const value = trimOws(raw);
  if (value.length < PREFIX.length + SUFFIX.length || !value.startsWith(PREFIX) || !value.endsWith(SUFFIX))
    return ASCII.test(value) ? value : null;
  const payload = value.slice(PREFIX.length, -SUFFIX.length);
  if (!CANONICAL_BASE64.test(payload)) return null;
  const bytes = Buffer.from(payload, 'base64');
  // Bits left over in the last character would give one value several spellings.
  if (bytes.toString('base64') !== payload) return null;
  try {
    return utf8.decode(bytes);
  } catch {
    // Not UTF-8: malformed, which is what null says.
    return null;
  }
}

/** A header value for any text: as it is when a field can carry it unchanged, else inside the base64 marks. */
export function encodeHeaderValue(text: string): string {
  const ambiguous = text.startsWith(PREFIX) && text.endsWith(SUFFIX);
  return PLAIN.test(text) && !ambiguous ? text : `${PREFIX}${Buffer.from(text).toString('base64')}${SUFFIX}`;
}
const PLAIN = /^[\x21-\x7e](?:[\x09\x20-\x7e]*[\x21-\x7e])?$/;

/** One `x-mcp-header` of a tool: the argument at `path` is repeated in `Mcp-Param-<header>`. */
export interface ParamHeader {
  /** As declared, e.g. `Region`. */
  readonly header: string;
  /** Property names from the root of the arguments. */
  readonly path: readonly string[];
  readonly type: 'string' | 'integer' | 'boolean';
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const ANNOTATION = 'x-mcp-header';

/**
 * Reads the `x-mcp-header` declarations of an inputSchema. Valid ones: a token, unique without regard to case, on a
 * property of type string, integer or boolean that a pure chain of `properties` reaches.
 * @returns the list (often empty), or a sentence on the first breach: such a tool is not served
 */
export function paramHeaders(inputSchema: unknown): readonly ParamHeader[] | string {
  const found: ParamHeader[] = [];
  const fault = collect(inputSchema, [], true, found);
  if (fault !== null) return fault;
  const names = new Set(found.map(({ header }) => header.toLowerCase()));
  return names.size === found.length ? found : `${ANNOTATION} declares one header twice`;
}

/** `schema`: `node` is a subschema the chain reaches; else it may be anything, and no annotation may stand in it. */
function collect(node: unknown, path: readonly string[], reached: boolean, found: ParamHeader[]): string | null {
  if (typeof node !== 'object' || node === null) return null;
  if (Array.isArray(node)) return firstFault(node, (item) => collect(item, path, false, found));
  const schema = node as Readonly<Record<string, unknown>>;
  if (Object.hasOwn(schema, ANNOTATION)) {
    const declared = readAnnotation(schema, path, reached);
    if (typeof declared === 'string') return declared;
    found.push(declared);
  }
  return firstFault(Object.entries(schema), ([keyword, value]) => {
    if (INSTANCES.has(keyword)) return null;
    if (keyword === 'properties' && typeof value === 'object' && value !== null) {
      return firstFault(Object.entries(value), ([name, child]) => collect(child, [...path, name], reached, found));
    }
    if (MAPS.has(keyword) && typeof value === 'object' && value !== null) {
      return firstFault(Object.values(value), (child) => collect(child, path, false, found));
    }
    return collect(value, path, false, found);
  });
}

/** Keywords whose value is an instance, not a schema: an annotation there is data. */
const INSTANCES = new Set(['const', 'enum', 'default', 'examples']);
/** Keywords whose value maps names to schemas: a name there is no annotation. */
const MAPS = new Set(['patternProperties', 'dependentSchemas', '$defs', 'definitions']);

function readAnnotation(
  schema: Readonly<Record<string, unknown>>,
  path: readonly string[],
  reached: boolean,
): ParamHeader | string {
  const header = schema[ANNOTATION];
  const type = schema['type'];
  if (!reached || path.length === 0) return `${ANNOTATION} stands where no chain of properties leads`;
  if (typeof header !== 'string' || !TOKEN.test(header)) return `${ANNOTATION} is not a header token`;
  if (type !== 'string' && type !== 'integer' && type !== 'boolean') {
    return `${ANNOTATION} is only for properties of type string, integer or boolean`;
  }
  return { header, path, type };
}

function firstFault<T>(list: readonly T[], judge: (item: T) => string | null): string | null {
  for (const item of list) {
    const fault = judge(item);
    if (fault !== null) return fault;
  }
  return null;
}

/**
 * The value a declared header must have for these arguments.
 * @returns null when there must be no header (value absent or null), undefined when the value cannot be repeated (not of the declared kind)
 */
export function paramHeaderValue(declared: ParamHeader, args: unknown): string | null | undefined {
  let value = args;
  for (const name of declared.path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (value === null) return null;
  if (typeof value === 'string') return declared.type === 'string' ? value : undefined;
  if (typeof value === 'boolean') return declared.type === 'boolean' ? String(value) : undefined;
  return declared.type === 'integer' && Number.isSafeInteger(value) ? String(value) : undefined;
}

/** A fraction that is not zero would be rounded away where it is small. */
const DECIMAL = /^-?\d{1,40}(?:\.0{1,40})?$/;

/** True when a decoded header says what the body says; integers are compared as numbers (42.0 is 42). */
export function agrees(declared: ParamHeader, header: string, body: string): boolean {
  if (header === body) return true;
  return declared.type === 'integer' && DECIMAL.test(header) && Number(header) === Number(body);
}

/** Declarations of pinned schemas, found by the schema object itself; gone when the pin is. */
const declarations = new WeakMap<object, readonly ParamHeader[] | string>();

/** `paramHeaders` of a target, remembered for its definition. Empty for anything but a tool. */
export function paramHeadersOf(target: Target): readonly ParamHeader[] | string {
  const schema = target.kind === 'tool' ? target.definition['inputSchema'] : undefined;
  if (typeof schema !== 'object' || schema === null) return [];
  const known = declarations.get(schema);
  if (known !== undefined) return known;
  const read = paramHeaders(schema);
  declarations.set(schema, read);
  return read;
}

/**
 * Mcp-Method, Mcp-Name and Mcp-Param-* for a message on its way to an upstream: from the names and arguments that
 * are sent, never from headers that came.
 * @param sent `approved`: bytes of the arguments that go out in place of the message's own, or null; `tasks.id`:
 * the upstream's id of the task the message is about
 * @returns names and values alternating
 */
export function mirroredHeaders(sent: {
  readonly message: Message;
  readonly target: Target;
  readonly approved: Uint8Array | null;
  readonly tasks?: { readonly id: string | null } | null;
}): string[] {
  const { message, target, approved } = sent;
  const headers = ['mcp-method', message.method];
  const source = mcpNameSource(message.method);
  if (source === 'taskId') {
    if (sent.tasks?.id) headers.push('mcp-name', encodeHeaderValue(sent.tasks.id));
    return headers;
  }
  if (source !== null) headers.push('mcp-name', encodeHeaderValue(source === 'name' ? target.name : message.name));
  const declared = paramHeadersOf(target);
  if (typeof declared === 'string' || declared.length === 0) return headers;
  const args = approved ? parseSpan(approved, { start: 0, end: approved.length }) : message.params['arguments'];
  for (const one of declared) {
    const value = paramHeaderValue(one, args);
    if (typeof value === 'string')
      headers.push(PARAM_HEADER_PREFIX + one.header.toLowerCase(), encodeHeaderValue(value));
  }
  return headers;
}
