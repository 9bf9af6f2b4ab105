import type { Depth } from './detect.ts';

/**
 * How deep each place of a message is looked into: by what stands there in the protocol, never by what it looks like. Null:
 * not at all.
 */
export type DepthOf = (segments: readonly (string | number)[]) => Depth | null;

/** Handles the client must send back byte for byte, at the top of a result. */
const HANDLES = new Set<string | number>(['nextCursor', 'requestState', 'elicitationId']);

/** The id of a task is sealed by us: what looks like something in it is chance, and changed it would name nothing. */
function isTaskId(segments: readonly (string | number)[]): boolean {
  return segments.length === 1 && segments[0] === 'taskId';
}

export function argumentDepth(segments: readonly (string | number)[]): Depth | null {
  return isTaskId(segments) ? null : 'whole';
}

export function taskDepth(segments: readonly (string | number)[]): Depth | null {
  return isTaskId(segments) ? null : resultDepth(segments);
}

export function taskMessageDepth(segments: readonly (string | number)[]): Depth | null {
  return segments[0] === 'params' && isTaskId(segments.slice(1)) ? null : messageDepth(segments);
}

export function resultDepth(segments: readonly (string | number)[]): Depth {
  const [first, second] = segments;
  if (segments.length === 1 && HANDLES.has(first!)) return 'opaque';
  return first === '_meta' && String(second).startsWith('io.modelcontextprotocol/') ? 'opaque' : 'whole';
}

const ENVELOPE = new Set<string | number>(['jsonrpc', 'id', 'method']);
const CORRELATION = new Set<string | number>(['progressToken', 'requestId']);

export function messageDepth(segments: readonly (string | number)[]): Depth | null {
  const [first, second] = segments;
  if (segments.length === 1 && ENVELOPE.has(first!)) return null;
  if (segments.length === 2 && first === 'params' && CORRELATION.has(second!)) return null;
  return resultDepth(segments.slice(1));
}
