import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyFolder, openSigningKeys } from '../../core/crypto/keys.ts';
import { InternalError, SettingsError } from '../../core/internal-error.ts';
import { digestOf } from './definition-digest.ts';
import { readManifest } from './manifest.ts';
import { signManifest } from './signature.ts';

export interface BundledOptions {
  /** Reviewed manifest files that came with the package. */
  readonly folder: string;
  readonly home: string;
  readonly keys: KeyFolder;
  /** Only these; a pin of a server that is not there would only be in the way. Absent: all. */
  readonly servers?: readonly string[];
}

export interface BundledOutcome {
  /** Servers signed now. */
  readonly signed: readonly string[];
  /** Servers whose file differs from what was signed at the first start: an operator must review and sign it. */
  readonly changed: readonly string[];
}

/**
 * Signs the manifests bundled with the package, each once in the life of a home: what an operator has replaced or
 * deleted since stays so, and what a newer package brings under an old name waits for a review. It reads reviewed
 * files only, never a live server.
 * @throws InternalError when a bundled file is not a manifest
 */
export async function signBundled({ folder, home, keys, servers }: BundledOptions): Promise<BundledOutcome> {
  const target = join(home, 'registry');
  mkdirSync(target, { recursive: true, mode: 0o700 });
  const memory = new Memory(join(target, 'bundled.json'));
  const signed: string[] = [];
  const changed: string[] = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()) {
    const read = readManifest(readFileSync(join(folder, file)));
    if ('faults' in read) {
      const faults = read.faults.map((fault) => fault.text).join('; ');
      throw new InternalError('registry.bundled_manifest', `bundled manifest ${file} cannot be used: ${faults}`);
    }
    const { server } = read.manifest;
    if (servers !== undefined && !servers.includes(server)) continue;
    const digest = digestOf(read.raw);
    const known = memory.digestOf(server);
    const path = join(target, `${server}.jws`);
    if (known === null && !existsSync(path)) {
      writeWhole(path, `${await signManifest(read.raw, openSigningKeys(keys, 'operator')[0])}\n`);
      signed.push(server);
    } else if (known !== null && known !== digest) changed.push(server);
    if (known === null) memory.remember(server, digest);
  }
  return { signed, changed };
}

/** Which bundled manifests this home has seen. Not a secret and not proof of anything: signatures are. */
class Memory {
  readonly #path: string;
  readonly #seen: Map<string, string>;

  constructor(path: string) {
    this.#path = path;
    this.#seen = new Map(Object.entries(existsSync(path) ? readMemory(path) : {}));
  }

  digestOf(server: string): string | null {
    return this.#seen.get(server) ?? null;
  }

  remember(server: string, digest: string): void {
    this.#seen.set(server, digest);
    writeWhole(this.#path, `${JSON.stringify({ format: 1, seen: Object.fromEntries(this.#seen) }, null, 2)}\n`);
  }
}

function readMemory(path: string): Record<string, string> {
  try {
    const read = JSON.parse(readFileSync(path, 'utf8')) as { format?: unknown; seen?: Record<string, string> } | null;
    if (read?.format === 1 && typeof read.seen === 'object') return read.seen;
  } catch (cause) {
    throw new SettingsError(
      `${path} is damaged; restore it, or delete it together with the .jws files beside it to begin anew`,
      cause,
    );
  }
  throw new SettingsError(`${path} has a format this version does not know; it was written by a newer one`);
}

/** Whole or not at all: a reader never meets half a file. */
export function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
