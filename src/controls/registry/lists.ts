import { type Endpoint, MODERN_REVISION, type Now, type Principal, type Target } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import type { RefusalCode } from '../../core/mcp/refusals.ts';
import { TASKS_EXTENSION } from '../../core/mcp/tasks.ts';
import { Refusal } from '../../core/stage.ts';
import type { Cursors } from './cursor.ts';
import { ITEM_KINDS, type ItemKind } from './manifest.ts';
import { CURSOR_REFUSAL } from './refusals.ts';
import type { Served, View } from './snapshot.ts';

/** List methods of the protocol, what they list, and the member of the result that holds it. */
export const LIST_METHODS = {
  'tools/list': { kind: 'tool', member: 'tools' },
  'prompts/list': { kind: 'prompt', member: 'prompts' },
  'resources/list': { kind: 'resource', member: 'resources' },
  'resources/templates/list': { kind: 'template', member: 'resourceTemplates' },
} as const satisfies Record<string, { kind: ItemKind; member: string }>;
export type ListMethod = keyof typeof LIST_METHODS;

/** Asked for each entry: the same judgement as at the call (authorization.visible), so a list shows what can be reached. */
export type Visible = (target: Target) => boolean;

export interface ListRequest {
  readonly endpoint: Endpoint;
  readonly principal: Principal;
  readonly visible: Visible;
  readonly now: Now;
}

export interface ListOptions {
  readonly pageSize: number;
  /** Upper bound of `ttlMs`, at most 60,000. */
  readonly ttlMs: number;
  /** Who we say we are, in `_meta` of every result. */
  readonly info: { readonly name: string; readonly title?: string; readonly version: string };
  /** Whether `subscriptions/listen` is honoured for changes of lists. */
  readonly listChanged: boolean;
}

/** One page, as the `result` of its method. Order is that of the view; nothing depends on the connection. */
export function listPage(
  method: ListMethod,
  view: View | null,
  request: ListRequest & { cursor: unknown },
  cursors: Cursors,
  options: ListOptions,
): string | Refusal {
  const { kind, member } = LIST_METHODS[method];
  const binding = { principal: request.principal.key, list: method, server: request.endpoint.server };
  const after =
    request.cursor === undefined
      ? ''
      : typeof request.cursor === 'string'
        ? cursors.open(binding, request.cursor)
        : null;
  if (after === null) return new Refusal(CURSOR_REFUSAL satisfies RefusalCode);
  const entries: string[] = [];
  let last = '';
  let more = false;
  for (const [name, served] of view?.[kind] ?? []) {
    if (name <= after || !isListed(served, request)) continue;
    if (entries.length === options.pageSize) {
      more = true;
      break;
    }
    entries.push(request.endpoint.server === null ? served.exposedEntry : served.originalEntry);
    last = name;
  }
  const next = more ? `,"nextCursor":${JSON.stringify(cursors.seal(binding, last))}` : '';
  return `{"resultType":"complete","${member}":[${entries.join(',')}]${next}${freshness(request, options)}}`;
}

/** What a server said of itself when it was last looked at, beyond its definitions. */
export interface Offers {
  readonly completions: boolean;
  readonly subscribe: boolean;
  readonly logging: boolean;
  readonly tasks: boolean;
}

/**
 * The result of `server/discover`: only what this caller can use here, only what we honour. Versions are those that can
 * be named in a request; the others begin with `initialize` and are found there (the SDK's servers do the same).
 * @param offersOf of a server this caller can use something of
 */
export function discovery(
  view: View | null,
  request: ListRequest,
  options: ListOptions & { instructions: string | undefined; offersOf: (server: string) => Offers | null },
): string {
  const usable = new Map<ItemKind, Set<string>>(ITEM_KINDS.map((kind) => [kind, serversOf(view, kind, request)]));
  const offers = (kinds: readonly ItemKind[], what: keyof Offers) =>
    kinds.some((kind) =>
      usable
        .get(kind)!
        .values()
        .some((server) => options.offersOf(server)?.[what] === true),
    );
  const changes = options.listChanged ? { listChanged: true } : {};
  const has = (kind: ItemKind) => usable.get(kind)!.size > 0;
  const subscribe = options.listChanged && offers(['resource', 'template'], 'subscribe') ? { subscribe: true } : {};
  const capabilities = {
    ...(has('tool') ? { tools: changes } : {}),
    ...(has('prompt') ? { prompts: changes } : {}),
    ...(has('resource') || has('template') ? { resources: { ...changes, ...subscribe } } : {}),
    ...(offers(['prompt', 'template', 'resource'], 'completions') ? { completions: {} } : {}),
    ...(offers(ITEM_KINDS, 'logging') ? { logging: {} } : {}),
    ...(offers(['tool'], 'tasks') ? { extensions: { [TASKS_EXTENSION]: {} } } : {}),
  };
  const instructions =
    options.instructions === undefined ? '' : `,"instructions":${JSON.stringify(options.instructions)}`;
  return `{"resultType":"complete","supportedVersions":["${MODERN_REVISION}"],"capabilities":${JSON.stringify(capabilities)}${instructions}${freshness(request, options)}}`;
}

/** Whether this caller can use anything at all of a view. */
export function isUsable(view: View | null, request: ListRequest): boolean {
  return ITEM_KINDS.some((kind) => view?.[kind].values().some((served) => isListed(served, request)));
}

/** Servers this caller can use something of. */
function serversOf(view: View | null, kind: ItemKind, request: ListRequest): Set<string> {
  const servers = new Set<string>();
  for (const served of view?.[kind].values() ?? []) {
    const { server } = served.candidate.target;
    if (!servers.has(server) && isListed(served, request)) servers.add(server);
  }
  return servers;
}

/** Lists whose change a client can be told of, and what stands in them. */
export const CHANGING_LISTS = ['tools', 'prompts', 'resources'] as const;
export type ChangingList = (typeof CHANGING_LISTS)[number];
const STANDS_IN: Readonly<Record<ItemKind, ChangingList>> = {
  tool: 'tools',
  prompt: 'prompts',
  resource: 'resources',
  template: 'resources',
};

/**
 * What this caller's lists say of one server, as a digest by list; a list without anything of it is missing. Two that
 * are equal mean that the caller would find nothing new.
 */
export function outline(view: View | null, request: ListRequest, server: string): ReadonlyMap<ChangingList, string> {
  const lines = new Map<ChangingList, string[]>();
  for (const kind of ITEM_KINDS) {
    for (const served of view?.[kind].values() ?? []) {
      const { target } = served.candidate;
      if (target.server !== server || !isListed(served, request)) continue;
      const list = STANDS_IN[kind];
      const line = `${kind} ${target.digest} ${target.exposed}`;
      const before = lines.get(list);
      if (before) before.push(line);
      else lines.set(list, [line]);
    }
  }
  return new Map([...lines].map(([list, all]) => [list, sha256Base64Url(all.join('\n'))]));
}

function isListed(served: Served, { visible, now }: ListRequest): boolean {
  return served.expiresAt > now.utc && visible(served.candidate.target);
}

/** Filtered by caller, so never `public` (protocol.md 1.10); short, so that revocation takes effect. */
function freshness({ principal, now }: ListRequest, { ttlMs, info }: ListOptions): string {
  const ttl = Math.max(0, Math.floor(Math.min(ttlMs, 60_000, principal.expiresAt - now.utc)));
  return `,"ttlMs":${ttl},"cacheScope":"private","_meta":${JSON.stringify({ 'io.modelcontextprotocol/serverInfo': info })}`;
}
