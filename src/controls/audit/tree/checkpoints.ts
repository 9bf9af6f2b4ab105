import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyPairOf, SigningKey } from '../../../core/crypto/keys.ts';
import {
  type Checkpoint,
  checkpointText,
  type NoteVerifier,
  openNote,
  parseCheckpoint,
  parseVerifierLine,
  signNote,
  verifierLine,
} from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Store } from '../../../core/store/store.ts';

export const CHECKPOINT_TABLE = 'audit_checkpoints';
const TABLE = CHECKPOINT_TABLE;
export const CHECKPOINT_FILE = 'checkpoint';

/** One key signs for all origins of a deployment; its name in notes is the deployment. */
export class CheckpointKeys {
  readonly #name: string;
  #current!: SigningKey;
  #lines!: string;
  #verifiers!: readonly NoteVerifier[];

  constructor(deployment: string, keys: KeyPairOf<SigningKey>) {
    this.#name = deployment;
    this.replace(keys);
  }

  get verifiers(): readonly NoteVerifier[] {
    return this.#verifiers;
  }

  /** What stands in `audit.pub`. */
  get lines(): string {
    return this.#lines;
  }

  get kid(): string {
    return this.#current.kid;
  }

  /** The next signatures are by the first of these. */
  replace(keys: KeyPairOf<SigningKey>): void {
    this.#current = keys[0];
    const lines = keys.filter((key) => key !== undefined).map((key) => verifierLine(this.#name, key.publicKey));
    this.#lines = `${lines.join('\n')}\n`;
    this.#verifiers = lines.map((line) => parseVerifierLine(line)!);
  }

  sign(checkpoint: Checkpoint): string {
    return signNote(checkpointText(checkpoint), { name: this.#name, ...this.#current });
  }

  /** The signed checkpoint in a tree's folder; null when there is none yet. @throws InternalError `audit.corrupt` */
  read(folder: string, origin: string): Checkpoint | null {
    const path = join(folder, CHECKPOINT_FILE);
    if (!existsSync(path)) return null;
    return this.#open(readFileSync(path, 'utf8'), origin, path);
  }

  /** Was it signed by the current key? An old key's signature is replaced at the next occasion. */
  isCurrent(folder: string): boolean {
    const note = openNote(readFileSync(join(folder, CHECKPOINT_FILE), 'utf8'), this.verifiers);
    return note?.signedBy.keyHash === this.verifiers[0]!.keyHash;
  }

  #open(note: string, origin: string, where: string): Checkpoint {
    const opened = openNote(note, this.verifiers);
    const checkpoint = opened ? parseCheckpoint(opened.text) : null;
    if (checkpoint?.origin === origin) return checkpoint;
    throw new InternalError(
      'audit.corrupt',
      `${where} is not a checkpoint of ${origin} signed by a live checkpoint key; restore the folder or the key`,
      { kind: 'outage' },
    );
  }

  /** Reads the second copy of a checkpoint. */
  async published(store: Store, key: string, origin: string, now: number): Promise<Published> {
    const row = await store.get(TABLE, key, now);
    if (!row) return { checkpoint: null, version: 0 };
    const checkpoint = this.#open(Buffer.from(row.value).toString(), origin, `the published copy for ${origin}`);
    return { checkpoint, version: row.version };
  }
}

/** The second copy of the last checkpoint, outside the log's folder: a restored backup differs from it. */
export interface Published {
  readonly checkpoint: Checkpoint | null;
  readonly version: number;
}

/** @throws InternalError `audit.forked` when somebody else published for this replica meanwhile */
export async function publish(
  store: Store,
  key: string,
  note: string,
  before: Published,
  now: number,
): Promise<number> {
  const version = await store.set(TABLE, key, Buffer.from(note), { expect: before.version, expiresAt: null, now });
  if (version !== null) return version;
  throw new InternalError(
    'audit.forked',
    'another process published a checkpoint for this replica: two logs use one name; stop both and compare',
    { kind: 'outage' },
  );
}
