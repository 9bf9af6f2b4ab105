import { MODERN_REVISION, type Revision, type Span, type WayIn } from '../../core/call.ts';
import { foldKey } from '../../core/mcp/key-names.ts';
import { type MessageSpans, type ScanLimits, scanDocument } from '../../core/mcp/scanner.ts';

type Params = Readonly<Record<string, unknown>>;
/** A sentence on what is wrong with the params, or null. Arguments themselves are judged by the pinned schema later. */
type Shape = (params: Params) => string | null;

/** Longest name, URI or cursor, in UTF-16 units. */
const MAX_NAME = 256;
const MAX_URI = 8_192;
const MAX_CURSOR = 8_192;
const MAX_TASK_ID = 4_096;

const named: Shape = (params) =>
  text(params, 'name', MAX_NAME) ?? optional(params, 'arguments', isObject, 'an object') ?? retry(params);
const read: Shape = (params) => text(params, 'uri', MAX_URI) ?? retry(params);
const list: Shape = (params) => optional(params, 'cursor', isCursor, 'a string');
const nothing: Shape = () => null;
const task: Shape = (params) => text(params, 'taskId', MAX_TASK_ID);
const update: Shape = (params) => task(params) ?? needed(params, 'inputResponses', isObject, 'an object');

const complete: Shape = (params) =>
  needed(params, 'ref', isReference, `a ref/prompt with a name or a ref/resource with a uri`) ??
  needed(params, 'argument', isArgument, 'an object with a name and a value, both strings') ??
  optional(params, 'context', isContext, 'an object');
const subscribe: Shape = (params) => text(params, 'uri', MAX_URI);

type Requests = ReadonlyMap<string, Shape>;

const BOTH: readonly (readonly [string, Shape])[] = [
  ['tools/list', list],
  ['tools/call', named],
  ['prompts/list', list],
  ['prompts/get', named],
  ['resources/list', list],
  ['resources/templates/list', list],
  ['resources/read', read],
  ['completion/complete', complete],
];
/** Every request of an era, with the shape of its params. What stands in no line does not exist (protocol.md 1.5). */
const MODERN: Requests = new Map([
  ...BOTH,
  ['server/discover', nothing],
  ['subscriptions/listen', (params) => needed(params, 'notifications', isObject, 'an object')],
  ['tasks/get', task],
  ['tasks/update', update],
  ['tasks/cancel', task],
]);
const LEGACY: Requests = new Map([
  ...BOTH,
  [
    'initialize',
    (params) =>
      text(params, 'protocolVersion', MAX_NAME) ??
      optional(params, 'capabilities', isObject, 'an object') ??
      optional(params, 'clientInfo', isObject, 'an object'),
  ],
  ['ping', nothing],
  // Which levels there are is for whoever keeps it to say.
  ['logging/setLevel', (params) => text(params, 'level', MAX_NAME)],
  ['resources/subscribe', subscribe],
  ['resources/unsubscribe', subscribe],
]);

/** The one request of the admin API; unknown on every other way in. */
const ADMIN: Requests = new Map([['admin/call', named]]);

export const KNOWN_METHODS: readonly string[] = [...new Set([...MODERN.keys(), ...LEGACY.keys()])];

/** The shape of a request's params, or null for a method that does not exist in this revision. */
export function requestShape(method: string, way: WayIn, revision: Revision): Shape | null {
  return (way === 'admin' ? ADMIN : revision === MODERN_REVISION ? MODERN : LEGACY).get(method) ?? null;
}

/** Which member of `params` says what a method acts on. */
const NAMES: ReadonlyMap<string, 'name' | 'uri' | 'ref' | 'taskId'> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['admin/call', 'name'],
  ['resources/read', 'uri'],
  ['resources/subscribe', 'uri'],
  ['resources/unsubscribe', 'uri'],
  ['completion/complete', 'ref'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** What a request acts on: name, URI or id of a task, '' for nothing. Only after its shape was judged. */
export function nameOf(method: string, params: Params): string {
  const member = NAMES.get(method);
  if (member === undefined) return '';
  if (member !== 'ref') return params[member] as string;
  const ref = params['ref'] as Params;
  return ref[nameIn(ref)] as string;
}

/** Whether `params.arguments` is what the method passes on, and so what is judged. Elsewhere nobody knows the member. */
export function takesArguments(method: string): boolean {
  return NAMES.get(method) === 'name';
}

/** Where that name lies in the message; null for nothing. */
export function nameSpanOf(
  method: string,
  params: Params,
  spans: MessageSpans,
  bytes: Uint8Array,
  limits: ScanLimits,
): Span | null {
  const member = NAMES.get(method);
  const span = (member && spans.paramsMembers.get(member)) ?? null;
  if (span === null || member !== 'ref') return span;
  // completion/complete: the name lies one level down.
  const inner = scanDocument(bytes.subarray(span.start, span.end), limits);
  const found = typeof inner === 'string' ? undefined : inner.members?.get(nameIn(params['ref'] as Params));
  return found ? { start: span.start + found.start, end: span.start + found.end } : null;
}

function nameIn(ref: Params): 'name' | 'uri' {
  return ref['type'] === 'ref/prompt' ? 'name' : 'uri';
}

function isReference(value: unknown): boolean {
  if (!isPlain(value, REFERENCE)) return false;
  const ref = value;
  if (ref['type'] === 'ref/prompt') return isText(ref['name'], MAX_NAME);
  return ref['type'] === 'ref/resource' && isText(ref['uri'], MAX_URI);
}

function isArgument(value: unknown): boolean {
  return isPlain(value, ARGUMENT) && isText(value['name'], MAX_NAME) && typeof value['value'] === 'string';
}

function isContext(value: unknown): boolean {
  return isPlain(value, CONTEXT);
}

/** What is judged of the objects in a completion, which go on as they are. */
const REFERENCE: readonly string[] = ['type', 'name', 'uri'];
const ARGUMENT: readonly string[] = ['name', 'value'];
const CONTEXT: readonly string[] = ['arguments'];

/** An object in which no lenient decoder finds another member than we do: `Name` beside `name` would be one. */
function isPlain(value: unknown, judged: readonly string[]): value is Params {
  return (
    isObject(value) && Object.keys(value).every((name) => judged.includes(name) || !judged.includes(foldKey(name)))
  );
}

/** Members of a repeated request after `input_required`. */
function retry(params: Params): string | null {
  return (
    optional(params, 'inputResponses', isObject, 'an object') ?? optional(params, 'requestState', isString, 'a string')
  );
}

/** The sentence is only made for those who need it. */
function text(params: Params, member: string, max: number): string | null {
  return Object.hasOwn(params, member) && isText(params[member], max)
    ? null
    : wrong(member, `a string of 1 to ${max} characters`);
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}

function isCursor(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_CURSOR;
}

function isText(value: unknown, max: number): boolean {
  return typeof value === 'string' && value !== '' && value.length <= max;
}

function needed(params: Params, member: string, good: (value: unknown) => boolean, what: string): string | null {
  return Object.hasOwn(params, member) && good(params[member]) ? null : wrong(member, what);
}

function wrong(member: string, what: string): string {
  return `params.${member} must be ${what}.`;
}

function optional(params: Params, member: string, good: (value: unknown) => boolean, what: string): string | null {
  return Object.hasOwn(params, member) ? needed(params, member, good, what) : null;
}

function isObject(value: unknown): value is Params {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
