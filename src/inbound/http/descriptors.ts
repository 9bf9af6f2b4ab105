import { readFileSync } from 'node:fs';

/**
 * Most connections one listener may hold: each of the two gets three eighths of the descriptors this process may open, so
 * that connections of strangers never take those of the log, the store and the tool servers.
 * @param wanted what settings say
 * @param limits text of `/proc/self/limits`, or null where there is none
 */
export function affordable(wanted: number, limits: string | null): number {
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits ?? '')?.[1] ?? Number.POSITIVE_INFINITY);
  return Math.min(wanted, Math.max(1, Math.floor((soft * 3) / 8)));
}

/** Limits of this process as Linux tells them. */
export function processLimits(): string | null {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return null; // not Linux: the settings stand
  }
}
