import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the inspector's profiler writes (Chrome DevTools, Profiler.Profile). */
interface CpuProfile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface ProfiledFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

interface Node {
  readonly id: number;
  readonly callFrame: ProfiledFrame;
  readonly children?: readonly number[];
}

export interface Share {
  readonly name: string;
  /** Of all sampled time of the main thread, idle left out. */
  readonly share: number;
}

/** Where the main thread's time went, greatest first. Threads of its own (compiler, garbage, disk) are not in it. */
export interface Spent {
  /** Time in the function itself. */
  readonly functions: readonly Share[];
  /** The same, with what Node's built-ins took charged to the function of a package or of ours that called them. */
  readonly charged: readonly Share[];
  /** Charged time by folder: a control, a part of the core, a package. */
  readonly folders: readonly Share[];
}

export function spentIn(profile: CpuProfile, root: string): Spent {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const callerOf = (node: Node) => {
    let at: Node | undefined = node;
    while (at && !at.callFrame.url.startsWith('file:')) at = nodes.get(parents.get(at.id) ?? -1);
    return at ?? node;
  };
  const sums = {
    functions: new Map<string, number>(),
    charged: new Map<string, number>(),
    folders: new Map<string, number>(),
  };
  let total = 0;
  for (const [i, sample] of profile.samples.entries()) {
    const node = nodes.get(sample)!;
    // The profiler's own start and end.
    if (node.callFrame.functionName === '(idle)' || node.callFrame.url.includes('inspector')) continue;
    const spent = profile.timeDeltas[i] ?? 0;
    const caller = callerOf(node);
    total += spent;
    add(sums.functions, nameOf(node.callFrame, root), spent);
    add(sums.charged, nameOf(caller.callFrame, root), spent);
    add(sums.folders, folderOf(caller.callFrame, root), spent);
  }
  const ranked = (times: Map<string, number>) =>
    [...times].map(([name, spent]) => ({ name, share: spent / total })).sort((a, b) => b.share - a.share);
  return { functions: ranked(sums.functions), charged: ranked(sums.charged), folders: ranked(sums.folders) };
}

export function nameOf({ functionName, url, lineNumber }: ProfiledFrame, root: string): string {
  const place = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url || 'built in';
  return `${functionName || '(anonymous)'}  ${place}${url ? `:${lineNumber + 1}` : ''}`;
}

export function folderOf({ functionName, url }: ProfiledFrame, root: string): string {
  if (!url.startsWith('file:'))
    return functionName.startsWith('(') ? functionName : 'node itself (http, streams, timers)';
  const parts = relative(root, fileURLToPath(url)).split('/');
  return parts.slice(0, parts[1] === 'controls' || parts[1] === 'core' ? 3 : 2).join('/');
}

function add(times: Map<string, number>, name: string, spent: number): void {
  times.set(name, (times.get(name) ?? 0) + spent);
}
