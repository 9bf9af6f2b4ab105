import { unwatchFile, watchFile } from 'node:fs';

/**
 * Calls `changed` when one of the files was written or replaced, by rename or behind a symbolic link as well. Polls: that
 * works on every file system that secrets are mounted from. Keeps no process alive.
 * @returns ends it
 */
export function watchFiles(
  what: { readonly files: readonly string[]; readonly everySeconds: number } | null,
  changed: () => void,
): () => void {
  if (what === null) return () => {};
  for (const file of what.files) watchFile(file, { interval: what.everySeconds * 1000, persistent: false }, changed);
  return () => {
    for (const file of what.files) unwatchFile(file, changed);
  };
}
