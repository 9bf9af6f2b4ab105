import type { CallWith, Endpoint, Message, Now, Principal, Result, Slots, Target, TaskRef } from '../../core/call.ts';
import { InternalError } from '../../core/internal-error.ts';
import { isTaskMethod } from '../../core/mcp/tasks.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import type { ListMethod, ListRequest } from './lists.ts';
import { LIST_METHODS } from './lists.ts';
import type { Served, Snapshot, View } from './snapshot.ts';
import type { TaskIds } from './task-ids.ts';

/** Nothing there: quarantined, expired, another tenant's, nonexistent, or a method without a target. One answer for all. */
export const NO_TARGET: Slots['candidate'] = Object.freeze({ target: null });

/** Finds the pinned target in the current snapshot; the live server is never asked. */
export function resolveStage(
  current: () => Snapshot,
  tasks: TaskIds,
): Stage<'endpoint' | 'message' | 'principal', 'candidate'> {
  return {
    name: 'registry.resolve',
    leaves: 'candidate',
    run: (call, now) => {
      if (isTaskMethod(call.message.method)) return taskAt(current(), tasks, call, call.message.name, now) ?? NO_TARGET;
      const found = find(current(), call);
      return found !== null && found.expiresAt > now.utc ? found.candidate : NO_TARGET;
    },
  };
}

/**
 * The pinned tool a task belongs to, as far as it still is what it was when the task began; null for anything else. An
 * id that is sealed and one that was made up are not told apart.
 */
export function taskAt(
  snapshot: Snapshot,
  tasks: TaskIds,
  { endpoint, principal }: Pick<CallWith<'endpoint' | 'principal'>, 'endpoint' | 'principal'>,
  id: string,
  now: Now,
): FoundTask | null {
  const opened = endpoint.admin ? null : tasks.open({ endpoint, principal }, id, now.utc);
  const found = opened && viewAt(snapshot, endpoint, principal)?.tool.get(opened.name);
  if (!found || found.expiresAt <= now.utc) return null;
  const { target } = found.candidate;
  return target.key === opened.key && target.digest === opened.digest ? { target, task: opened.task } : null;
}

/** A task, and the tool it is one of. */
export interface FoundTask {
  readonly target: Target;
  readonly task: TaskRef;
}

/** The method decides the kind; the name is looked up whole, never taken apart. */
function find(snapshot: Snapshot, call: CallWith<'endpoint' | 'message' | 'principal'>): Served | null {
  const tenant = snapshot.tenants.get(call.principal.tenant);
  if (!tenant) return null;
  const { method, name } = call.message;
  if (call.way === 'admin' || call.endpoint.admin) {
    const administers = call.way === 'admin' && call.endpoint.admin && method === 'admin/call';
    return administers ? (tenant.admin.get(name) ?? null) : null;
  }
  const view = viewAt(snapshot, call.endpoint, call.principal);
  if (!view) return null;
  switch (method) {
    case 'tools/call':
      return view.tool.get(name) ?? null;
    case 'prompts/get':
      return view.prompt.get(name) ?? null;
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return resourceAt(view, name);
    case 'completion/complete':
      return completed(view, call.message);
    default:
      return null;
  }
}

/** A URI that is pinned, or that exactly one pinned template fits and no manifest speaks of otherwise. */
export function resourceAt(view: View, uri: string): Served | null {
  const found = view.resource.get(uri) ?? matchTemplate(view, uri);
  return found?.template && view.addresses.spokenFor(uri) ? null : found;
}

/** What values are asked for: an argument of a prompt, or a variable of a template, named by the template itself. */
function completed(view: View, { name, params }: Message): Served | null {
  const ref = params['ref'];
  const type = typeof ref === 'object' && ref !== null ? (ref as { type?: unknown }).type : undefined;
  if (type === 'ref/prompt') return view.prompt.get(name) ?? null;
  if (type === 'ref/resource') return view.template.get(name) ?? view.resource.get(name) ?? null;
  return null;
}

export function viewAt(snapshot: Snapshot, endpoint: Endpoint, principal: Principal): View | null {
  const tenant = snapshot.tenants.get(principal.tenant);
  if (!tenant || endpoint.admin) return null;
  return endpoint.server === null ? tenant.all : (tenant.servers.get(endpoint.server) ?? null);
}

/** A URI that two templates fit belongs to neither: no server may capture what is another's. */
function matchTemplate(view: View, uri: string): Served | null {
  let found: Served | null = null;
  for (const served of view.template.values()) {
    if (!served.template?.matches(uri)) continue;
    if (found) return null;
    found = served;
  }
  return found;
}

/** Asked with the call, so that visibility may depend on all of the principal. */
export type VisibleTo = (call: CallWith<'endpoint' | 'message' | 'principal'>, target: Target, now: Now) => boolean;

export interface ListSource {
  list(method: ListMethod, request: ListRequest & { cursor: unknown }): string | Refusal;
  discover(request: ListRequest): string;
}

/** Lists and discovery as a stage: `pipeline.ts` sends these methods here and nowhere else. */
export function listStage(
  source: ListSource,
  visibleTo: VisibleTo,
): Stage<'endpoint' | 'message' | 'principal', 'scrubbed'> {
  return {
    name: 'registry.list',
    leaves: 'scrubbed',
    run: (call, now) => {
      const { endpoint, principal, message } = call;
      const request: ListRequest = { endpoint, principal, now, visible: (target) => visibleTo(call, target, now) };
      if (message.method === 'server/discover') return resultOf(source.discover(request));
      if (!isListMethod(message.method))
        throw new InternalError('registry.not_a_list', `the list flow was given ${message.method}`);
      const page = source.list(message.method, { ...request, cursor: message.params['cursor'] });
      return page instanceof Refusal ? page : resultOf(page);
    },
  };
}

function isListMethod(method: string): method is ListMethod {
  return Object.hasOwn(LIST_METHODS, method);
}

function resultOf(json: string): Result {
  const bytes = Buffer.from(json);
  let view: unknown;
  return { kind: 'result', bytes, diagnostics: null, view: () => (view ??= JSON.parse(json)) };
}
