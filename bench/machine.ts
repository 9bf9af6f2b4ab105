import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';

/** Which cores run what; null: nothing is pinned. */
export interface Pinning {
  readonly system: string | null;
  readonly rest: string | null;
  /** For people. */
  readonly text: string;
}

/**
 * The system under test, with all its threads, gets one core for itself; upstream and load the others. Without taskset
 * or with one core nothing is pinned, and figures of one run compare worse.
 */
export function choosePinning(): Pinning {
  const none = (why: string): Pinning => ({ system: null, rest: null, text: `not pinned: ${why}` });
  const cores = allowedCores();
  if (cores.length < 2) return none('one core');
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
  } catch {
    return none('there is no taskset');
  }
  const system = String(cores.at(-1));
  const rest = cores.slice(0, -1).join(',');
  return { system, rest, text: `system under test on core ${system}, upstream and load on ${rest} (taskset)` };
}

function allowedCores(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    return list.split(',').flatMap((part) => {
      const [from, to = from] = part.split('-').map(Number) as [number, number?];
      return Array.from({ length: to! - from + 1 }, (_, i) => from + i);
    });
  } catch {
    return []; // Not Linux: there is nothing to pin with.
  }
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly node: string;
  readonly system: string;
  readonly disk: string;
  readonly commit: string;
}

/** @param folder where the journals lie */
export function machineOf(root: string, folder: string): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryMb: Math.round(os.totalmem() / 2 ** 20),
    node: process.version,
    system: `${os.type()} ${os.release()}`,
    disk: FILE_SYSTEMS[statfsSync(folder).type] ?? `file system 0x${statfsSync(folder).type.toString(16)}`,
    commit: commitOf(root),
  };
}

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlay',
  16914836: 'tmpfs (memory: fdatasync waits for nothing, figures are too good)',
};

function commitOf(root: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'src', 'bench', 'package-lock.json');
    return git('rev-parse', '--short=12', 'HEAD') + (changed === '' ? '' : ' with uncommitted changes');
  } catch {
    return 'not a git checkout';
  }
}
