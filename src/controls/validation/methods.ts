import type { WayIn } from '../../core/call.ts';

type Params = Readonly<Record<string, unknown>>;
/** A sentence on what is wrong with the params, or null. Arguments themselves are judged by the pinned schema later. */
type Shape = (params: Params) => string | null;

/** Longest name, URI or cursor, in UTF-16 units. */
const MAX_NAME = 256;
const MAX_URI = 8_192;
const MAX_CURSOR = 8_192;

const named: Shape = (params) =>
  text(params, 'name', MAX_NAME) ?? optional(params, 'arguments', isObject, 'an object') ?? retry(params);
const read: Shape = (params) => text(params, 'uri', MAX_URI) ?? retry(params);
const list: Shape = (params) =>
  optional(params, 'cursor', (value) => typeof value === 'string' && value.length <= MAX_CURSOR, 'a string');
const nothing: Shape = () => null;

/** Every request this revision knows, with the shape of its params. What stands in no line does not exist. */
const REQUESTS: ReadonlyMap<string, Shape> = new Map([
  ['server/discover', nothing],
  ['tools/list', list],
  ['tools/call', named],
  ['prompts/list', list],
  ['prompts/get', named],
  ['resources/list', list],
  ['resources/templates/list', list],
  ['resources/read', read],
  [
    'completion/complete',
    (params) =>
      needed(params, 'ref', isObject, 'an object') ??
      needed(params, 'argument', isObject, 'an object') ??
      optional(params, 'context', isObject, 'an object'),
  ],
  ['subscriptions/listen', (params) => needed(params, 'notifications', isObject, 'an object')],
]);

/** The one request of the admin API; unknown on every other way in. */
const ADMIN: ReadonlyMap<string, Shape> = new Map([['admin/call', named]]);

export const KNOWN_METHODS: readonly string[] = [...REQUESTS.keys()];

/** The shape of a request's params, or null for a method that does not exist (removed ones included). */
export function requestShape(method: string, way: WayIn): Shape | null {
  return (way === 'admin' ? ADMIN : REQUESTS).get(method) ?? null;
}

/** What the method acts on: name or URI, '' for none. Only after its shape was judged. */
export function nameOf(method: string, params: Params): string {
  const name = method === 'resources/read' ? params['uri'] : params['name'];
  const shape = REQUESTS.get(method) ?? ADMIN.get(method);
  return (shape === named || shape === read) && typeof name === 'string' ? name : '';
}

/** Members of a repeated request after `input_required`. */
function retry(params: Params): string | null {
  return (
    optional(params, 'inputResponses', isObject, 'an object') ??
    optional(params, 'requestState', (value) => typeof value === 'string', 'a string')
  );
}

function text(params: Params, member: string, max: number): string | null {
  const good = (value: unknown) => typeof value === 'string' && value !== '' && value.length <= max;
  return needed(params, member, good, `a string of 1 to ${max} characters`);
}

function needed(params: Params, member: string, good: (value: unknown) => boolean, what: string): string | null {
  return Object.hasOwn(params, member) && good(params[member]) ? null : `params.${member} must be ${what}.`;
}

function optional(params: Params, member: string, good: (value: unknown) => boolean, what: string): string | null {
  return Object.hasOwn(params, member) ? needed(params, member, good, what) : null;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
