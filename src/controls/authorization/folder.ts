import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SettingsError } from '../../core/internal-error.ts';
import { SCOPES_FILE } from './catalogue.ts';

const MAX_FILES = 256;
const MAX_FILE_BYTES = 1024 * 1024;
/** Kept beside the policy without being part of it. */
const BESIDE = /^(\..*|.*\.md|.*~)$/;
const TESTS_FOLDER = 'tests';

/** A policy file as it lies on the disk. */
export interface Source {
  readonly file: string;
  readonly text: string;
}

export interface Sources {
  /** Text of scopes.yaml, or null when there is none: no scope exists then. */
  readonly scopes: string | null;
  /** Every *.cedar file, by name. */
  readonly cedar: readonly Source[];
}

/**
 * Reads the policy folder whole. A file nobody reads would be a rule that silently does not hold
 * (`forbid.cedar.txt`), so every entry is either read, known to lie beside, or an error.
 * @throws SettingsError
 */
export async function readPolicyFolder(folder: string): Promise<Sources> {
  const names = await readdir(folder).catch((cause) => {
    throw new SettingsError(`policy folder ${folder} cannot be read; run: gatewrit init`, cause);
  });
  if (names.length > MAX_FILES) throw new SettingsError(`policy folder ${folder} holds more than ${MAX_FILES} files`);
  let scopes: string | null = null;
  const cedar: Source[] = [];
  for (const file of names.sort()) {
    const path = join(folder, file);
    if (BESIDE.test(file)) continue;
    if ((await lstat(path)).isDirectory() && file === TESTS_FOLDER) continue;
    if (file !== SCOPES_FILE && !file.endsWith('.cedar')) {
      throw new SettingsError(
        `${path} is neither ${SCOPES_FILE} nor a *.cedar file, so no rule in it would hold; rename or move it`,
      );
    }
    const text = await readText(path);
    if (file === SCOPES_FILE) scopes = text;
    else cedar.push({ file, text });
  }
  return { scopes, cedar };
}

async function readText(path: string): Promise<string> {
  try {
    const found = await stat(path);
    if (!found.isFile() || found.size > MAX_FILE_BYTES)
      throw new SettingsError(`${path} is not a file of at most ${MAX_FILE_BYTES} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause;
    throw new SettingsError(`${path} cannot be read as UTF-8 text`, cause);
  }
}
