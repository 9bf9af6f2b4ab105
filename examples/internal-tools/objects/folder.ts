import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_OBJECTS, type Objects } from './objects.ts';

/**
 * A folder seen as a bucket: the path below it is the key. The prefix is compared with keys, never joined to a path.
 * Links are neither listed nor followed (readdir's own `recursive` follows those to folders).
 */
export function openFolder(folder: string): Objects {
  return {
    async list(prefix) {
      const keys = (await keysBelow(folder, '', prefix)).sort();
      const objects = await Promise.all(
        keys.slice(0, MAX_OBJECTS).map(async (key) => {
          const { size, mtime } = await lstat(join(folder, key));
          return { key, size, modified: mtime.toISOString() };
        }),
      );
      return { objects, truncated: keys.length > MAX_OBJECTS };
    },
  };
}

/** @param below '' or the path of a folder with a slash at its end */
async function keysBelow(folder: string, below: string, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const key = below + entry.name;
    if (entry.isFile() && key.startsWith(prefix)) keys.push(key);
    const inner = `${key}/`;
    if (entry.isDirectory() && (inner.startsWith(prefix) || prefix.startsWith(inner)))
      keys.push(...(await keysBelow(folder, inner, prefix)));
  }
  return keys;
}
