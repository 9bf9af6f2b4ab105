import { type Endpoint, type Now, type Principal, REVISIONS, type Target } from '../../core/call.ts';
import type { RefusalCode } from '../../core/mcp/refusals.ts';
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

/** The result of `server/discover`: only what this caller can use here, only what we honour. */
export function discovery(
  view: View | null,
  request: ListRequest,
  options: ListOptions & { instructions: string | undefined },
): string {
  const offered = (kind: ItemKind) => view?.[kind].values().some((served) => isListed(served, request)) ?? false;
  const changes = options.listChanged ? { listChanged: true } : {};
  const [tools, prompts, resources, templates] = ITEM_KINDS.map(offered);
  const capabilities = {
    ...(tools ? { tools: changes } : {}),
    ...(prompts ? { prompts: changes } : {}),
    ...(resources || templates ? { resources: changes } : {}),
  };
  const instructions =
    options.instructions === undefined ? '' : `,"instructions":${JSON.stringify(options.instructions)}`;
  return `{"resultType":"complete","supportedVersions":${JSON.stringify(REVISIONS)},"capabilities":${JSON.stringify(capabilities)}${instructions}${freshness(request, options)}}`;
}

function isListed(served: Served, { visible, now }: ListRequest): boolean {
  return served.expiresAt > now.utc && visible(served.candidate.target);
}

/** Filtered by caller, so never `public` (protocol.md 1.10); short, so that revocation takes effect. */
function freshness({ principal, now }: ListRequest, { ttlMs, info }: ListOptions): string {
  const ttl = Math.max(0, Math.floor(Math.min(ttlMs, 60_000, principal.expiresAt - now.utc)));
  return `,"ttlMs":${ttl},"cacheScope":"private","_meta":${JSON.stringify({ 'io.modelcontextprotocol/serverInfo': info })}`;
}
