import { join } from 'node:path';
import { lockFile } from '../journal/writer-lock.ts';
import { createFile, WitnessMemory } from './memory.ts';
import { Witness } from './witness.ts';
import { newKeyText, publicLine, readWitnessKey } from './witness-key.ts';
import { serveWitness, type WitnessServer } from './witness-server.ts';
import type { WitnessedLog } from './witnessed-logs.ts';

export interface OpenWitnessOptions {
  /** The private line, as `--init` writes it. */
  readonly keyText: string;
  readonly logs: readonly WitnessedLog[];
  /** Folder of what was seen; one process holds it. */
  readonly state: string;
  readonly maxOrigins: number;
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly say: (line: string) => void;
  /** ms UTC */
  readonly now?: () => number;
}

/** @throws InternalError `audit.locked` when another process holds the state; SettingsError when the key is none */
export async function openWitness(options: OpenWitnessOptions): Promise<WitnessServer & { readonly line: string }> {
  const { keyText, logs, state, maxOrigins, now = Date.now, ...place } = options;
  const signer = readWitnessKey(keyText);
  const line = publicLine(signer);
  const lock = lockFile(join(state, 'witness.lock'), `another process is the witness of ${state}; stop it first`);
  try {
    const memory = new WitnessMemory(join(state, 'seen'));
    const witness = new Witness({ signer, logs, memory, maxOrigins, now });
    const server = await serveWitness({ ...place, witness, line });
    return {
      url: server.url,
      line,
      async close() {
        await server.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Makes the private key, in a file that must not be there yet. @returns its public line */
export function newWitnessKey(name: string, path: string): string {
  const text = newKeyText(name);
  createFile(path, text);
  return publicLine(readWitnessKey(text));
}
