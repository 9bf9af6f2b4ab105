import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { MAX_OBJECTS, type Objects } from './objects.ts';

/** A folder seen as a bucket: the path below it is the key. Links are not followed; the prefix is compared, never joined. */
export function openFolder(folder: string): Objects {
  return {
    async list(prefix) {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const keys = entries
        .filter((entry) => entry.isFile())
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
        .filter((key) => key.startsWith(prefix))
        .sort();
      const objects = await Promise.all(
        keys.slice(0, MAX_OBJECTS).map(async (key) => {
          const { size, mtime } = await stat(join(folder, key));
          return { key, size, modified: mtime.toISOString() };
        }),
      );
      return { objects, truncated: keys.length > MAX_OBJECTS };
    },
  };
}
