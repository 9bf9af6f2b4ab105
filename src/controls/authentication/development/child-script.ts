import { fileURLToPath } from 'node:url';

/** Path of a script of this folder that runs as its own process: source in a checkout, compiled when installed. */
export function childScript(name: string): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(`./${name}${extension}`, import.meta.url));
}

/** Environment of such a process: none of ours, which may hold secrets, but what it takes to run. */
export function childEnvironment(more: Record<string, string> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ...more };
}
