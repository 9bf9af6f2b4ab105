import { type Client, REVISIONS } from '../core/call.ts';
import { parseSpan } from '../core/mcp/scanner.ts';
import { declaresTasks, TASKS_EXTENSION } from '../core/mcp/tasks.ts';
import type { Question } from '../core/questions.ts';

/**
 * What an upstream may ask of a client, as far as this bridge can carry it: what the client declared, less what nobody
 * could answer (protocol.md 2.1). Declaring more would make upstreams ask for things nobody can answer.
 */
export interface Bridged {
  /** One JSON object: the capabilities as they are declared to the upstream. */
  readonly json: string;
  /** Says nothing that can be asked. */
  readonly silent: boolean;
  readonly form: boolean;
  readonly url: boolean;
  readonly sampling: boolean;
  readonly samplingTools: boolean;
  readonly roots: boolean;
  /** May be answered with a task: only a modern client of a modern upstream. */
  readonly tasks: boolean;
}

/** A client nothing can be asked of; also how this gateway itself speaks to an upstream. */
export const NOTHING_BRIDGED: Bridged = Object.freeze({
  json: '{}',
  silent: true,
  form: false,
  url: false,
  sampling: false,
  samplingTools: false,
  roots: false,
  tasks: false,
});

type Declared = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Declared =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const part = (of: unknown, name: string): Declared | null => {
  const value = isObject(of) && Object.hasOwn(of, name) ? of[name] : null;
  return isObject(value) ? value : null;
};

/** Settings of all allowed extensions together: more is not a declaration but a load. */
const MAX_EXTENSION_BYTES = 4096;

/**
 * @param allowed extensions the operator lets through to this upstream
 * @param tasks whether the upstream may hear of the tasks extension; one of an older revision would mean others by it
 */
export function bridged(client: Client, allowed: readonly string[], tasks = false): Bridged {
  const { capabilities, revision } = client;
  for (const _ in capabilities) return read(capabilities, REVISIONS.indexOf(revision), allowed, tasks);
  return NOTHING_BRIDGED;
}

/** What each revision knows of (protocol.md 2.2): no elicitation before 2025-06-18, no url mode or sampling tools before 2025-11-25. */
function read(capabilities: Declared, age: number, allowed: readonly string[], ofTasks: boolean): Bridged {
  const elicitation = age <= 2 ? part(capabilities, 'elicitation') : null;
  const url = age <= 1 && part(elicitation, 'url') !== null;
  // An empty declaration means form only.
  const form = elicitation !== null && (part(elicitation, 'form') !== null || !Object.hasOwn(elicitation, 'url'));
  const sampling = part(capabilities, 'sampling');
  const samplingTools = age <= 1 && part(sampling, 'tools') !== null;
  const roots = part(capabilities, 'roots') !== null;
  const tasks = ofTasks && age === 0 && declaresTasks(capabilities);
  const extensions = extensionsOf(capabilities, allowed, tasks);
  const declared = {
    ...(form || url ? { elicitation: { ...(form ? { form: {} } : {}), ...(url ? { url: {} } : {}) } } : {}),
    ...(sampling
      ? { sampling: { ...(samplingTools ? { tools: {} } : {}), ...(part(sampling, 'context') ? { context: {} } : {}) } }
      : {}),
    ...(roots ? { roots: {} } : {}),
    ...(extensions ? { extensions } : {}),
  };
  const silent = !(form || url || sampling !== null || roots);
  const json = JSON.stringify(declared);
  return json === '{}'
    ? NOTHING_BRIDGED
    : { json, silent, form, url, sampling: sampling !== null, samplingTools, roots, tasks };
}

function extensionsOf(capabilities: Declared, allowed: readonly string[], tasks: boolean): object | null {
  const own = tasks ? { [TASKS_EXTENSION]: {} } : null;
  if (allowed.length === 0) return own;
  const declared = part(capabilities, 'extensions');
  const kept = allowed.flatMap((name) => {
    const settings = name === TASKS_EXTENSION ? null : part(declared, name);
    return settings ? [[name, settings] as const] : [];
  });
  const extensions = Object.fromEntries(kept);
  return kept.length > 0 && JSON.stringify(extensions).length <= MAX_EXTENSION_BYTES ? { ...extensions, ...own } : own;
}

/** What a client can declare, by revision 2026-07-28, as far as this bridge can carry it. */
const DECLARABLE: Readonly<Record<string, readonly string[]>> = {
  elicitation: ['form', 'url'],
  sampling: ['tools', 'context'],
  roots: [],
};

/**
 * Of what a server says that a client lacks (attacker-controlled), the names that we know: they are told to the client
 * beside all redaction, so nothing else of it may be. Null: it names nothing that could be declared here.
 * @param allowed extensions the operator lets through
 */
export function declarable(required: Declared, allowed: readonly string[]): Declared | null {
  const known = { ...DECLARABLE, extensions: [TASKS_EXTENSION, ...allowed] };
  const named = Object.entries(known).flatMap(([name, parts]) => {
    if (!Object.hasOwn(required, name)) return [];
    const kept = parts.filter((of) => part(required[name], of) !== null);
    return [[name, Object.fromEntries(kept.map((of) => [of, {}]))] as const];
  });
  return named.length === 0 ? null : Object.fromEntries(named);
}

/** What a client would have to declare for this question to be put to it, as `requiredCapabilities` says it; null: it has. */
export function missingFor(question: Question, bridge: Bridged): Declared | null {
  const params = parseSpan(question.params, { start: 0, end: question.params.length }) as Declared;
  switch (question.method) {
    case 'elicitation/create': {
      const mode = Object.hasOwn(params, 'mode') ? params['mode'] : 'form';
      if (mode === 'form') return bridge.form ? null : { elicitation: { form: {} } };
      if (mode === 'url') return bridge.url ? null : { elicitation: { url: {} } };
      // A mode no revision knows cannot have been declared.
      return { elicitation: {} };
    }
    case 'sampling/createMessage': {
      const tools = Object.hasOwn(params, 'tools') || Object.hasOwn(params, 'toolChoice');
      if (tools && !bridge.samplingTools) return { sampling: { tools: {} } };
      return bridge.sampling ? null : { sampling: {} };
    }
    case 'roots/list':
      return bridge.roots ? null : { roots: {} };
  }
}
