import { folderOf, nameOf, type ProfiledFrame } from './profile.ts';

/** What the inspector's sampling heap profiler writes (HeapProfiler.SamplingHeapProfileNode). */
interface AllocationNode {
  readonly callFrame: ProfiledFrame;
  readonly selfSize: number;
  readonly children: readonly AllocationNode[];
}

export interface Allocated {
  readonly name: string;
  readonly bytesPerCall: number;
}

/** What one call allocates on the heap, greatest first; what was collected since is counted too. Off-heap bytes are not. */
export interface Allocation {
  readonly total: number;
  readonly functions: readonly Allocated[];
  /** What Node's built-ins allocated, charged to the function of a package or of ours that called them. */
  readonly charged: readonly Allocated[];
  readonly folders: readonly Allocated[];
}

export function allocatedIn(profile: { readonly head: AllocationNode }, calls: number, root: string): Allocation {
  const [functions, charged, folders] = [
    new Map<string, number>(),
    new Map<string, number>(),
    new Map<string, number>(),
  ];
  let total = 0;
  const visit = (node: AllocationNode, caller: ProfiledFrame | null): void => {
    const frame = node.callFrame;
    const owner = frame.url.startsWith('file:') ? frame : caller;
    const size = node.selfSize;
    if (size > 0 && !frame.url.includes('inspector')) {
      total += size;
      add(functions, nameOf(frame, root), size);
      add(charged, nameOf(owner ?? frame, root), size);
      add(folders, folderOf(owner ?? frame, root), size);
    }
    for (const child of node.children) visit(child, owner);
  };
  visit(profile.head, null);
  const ranked = (sizes: Map<string, number>) =>
    [...sizes]
      .map(([name, size]) => ({ name, bytesPerCall: size / calls }))
      .sort((a, b) => b.bytesPerCall - a.bytesPerCall);
  return { total: total / calls, functions: ranked(functions), charged: ranked(charged), folders: ranked(folders) };
}

function add(sizes: Map<string, number>, name: string, size: number): void {
  sizes.set(name, (sizes.get(name) ?? 0) + size);
}
