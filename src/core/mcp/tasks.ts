/**
 * The extension `io.modelcontextprotocol/tasks` (protocol.md 1.11): a call may end in a task, by whose id the client asks
 * for the rest. An id is a handle of a state, never an authority.
 */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

export const TASK_METHODS = ['tasks/get', 'tasks/update', 'tasks/cancel'] as const;
export type TaskMethod = (typeof TASK_METHODS)[number];

export function isTaskMethod(method: string): method is TaskMethod {
  return method.startsWith('tasks/') && (TASK_METHODS as readonly string[]).includes(method);
}

/** Whether capabilities, as a client declares them (attacker-controlled) or a server does, name the extension. */
export function declaresTasks(capabilities: unknown): boolean {
  return isObject(member(member(capabilities, 'extensions'), TASKS_EXTENSION));
}

function member(of: unknown, name: string): unknown {
  return isObject(of) && Object.hasOwn(of, name) ? of[name] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
