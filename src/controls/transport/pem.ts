import { readFileSync } from 'node:fs';
import { SettingsError } from '../../core/internal-error.ts';

/** @throws SettingsError when there is no such file */
export function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SettingsError(`${path} cannot be read; create it or point the setting elsewhere`, cause);
  }
}
