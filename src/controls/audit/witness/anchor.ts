import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openCosigned, parseWitnessLine, type WitnessVerifier } from '../../../core/crypto/cosignature.ts';
import { consistencyProof, EMPTY_ROOT } from '../../../core/crypto/merkle.ts';
import { type NoteVerifier, openNote, parseCheckpoint, signatureLines } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Placer } from '../journal/files.ts';
import { type Carrier, SinkBroken } from '../sinks/following.ts';
import { readOrNull } from '../sinks/tree-files.ts';
import { CHECKPOINT_FILE } from '../tree/checkpoints.ts';
import { nodesOnDisk } from '../tree/tree.ts';
import type { WitnessSettings } from './settings.ts';
import { WitnessClient } from './witness-client.ts';

/** Beside a tree's `checkpoint`: the same, or a smaller one, with the cosignature of the witness. */
export const COSIGNED_FILE = 'cosigned';

export interface AnchorOptions {
  readonly settings: WitnessSettings;
  /** `<home>/audit/<replica>` */
  readonly log: string;
  /** Asked each time: keys are replaced while the log is written. */
  readonly verifiers: () => readonly NoteVerifier[];
  /** Its own: the writer of the trees has another. */
  readonly placer: Placer;
}

interface SignedNote {
  /** Below the replica's folder. */
  readonly path: string;
  readonly note: string;
  readonly origin: string;
  readonly size: number;
  readonly keyHash: string;
}

interface Sent {
  readonly size: number;
  /** Which key of the log signed it: what was signed anew is shown anew. */
  readonly keyHash: string;
}

const NOTHING: Sent = { size: 0, keyHash: '' };
/** The size is learnt, then shown again; a second other size means that somebody else shows this log. */
const ATTEMPTS = 3;

/** Shows every tree that has grown to the witness and keeps what it cosigned. */
export class Anchor implements Carrier {
  readonly #options: AnchorOptions;
  readonly #witness: WitnessVerifier;
  readonly #client: WitnessClient;
  readonly #sent = new Map<string, Sent>();
  /** Told when the log is not the one that the witness has seen: nothing more may be signed. */
  onFatal: (error: InternalError) => void = () => undefined;

  constructor(options: AnchorOptions) {
    this.#options = options;
    this.#witness = parseWitnessLine(options.settings.key)!;
    this.#client = new WitnessClient(options.settings);
  }

  /**
   * Before anything is signed: does the witness know a longer log, or another one? A restored backup is found also when
   * the copy in the store was restored with it.
   * @param empty a signed checkpoint of the journal without records, for a log of which nothing is there
   * @returns why it could not be asked, or null
   * @throws InternalError `audit.rolled_back`, `audit.forked`
   */
  async refuseOlder(empty: (size: number, root: Uint8Array) => string): Promise<string | null> {
    const journal = (await this.#signed('journal')) ?? this.#noteOf('journal', empty(0, EMPTY_ROOT));
    try {
      await this.#show(journal, new AbortController().signal);
      return null;
    } catch (error) {
      if (error instanceof InternalError) throw error;
      return error instanceof Error ? error.message : String(error);
    }
  }

  async carry(signal: AbortSignal): Promise<void> {
    const journal = await this.#signed('journal');
    if (!journal || (await this.#isSent(journal))) return;
    const tags = await readdir(join(this.#options.log, 'trees'));
    try {
      for (const tag of tags) {
        const tree = await this.#signed(`trees/${tag}`);
        if (tree && !(await this.#isSent(tree))) await this.#show(tree, signal);
      }
      // The last: when the journal is cosigned, everything it covers is.
      await this.#show(journal, signal);
    } catch (error) {
      if (!(error instanceof InternalError)) throw error;
      this.onFatal(error);
      throw new SinkBroken(error.message);
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  /** @throws InternalError `audit.rolled_back`, `audit.forked`; Error when the witness cannot say */
  async #show(tree: SignedNote, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const { path, note, origin, size } = tree;
    let old = Math.min(size, (await this.#sentOf(path)).size);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const proof = consistencyProof(old, size, nodesOnDisk(join(log, path), size));
      const seen = await this.#client.show({ old, proof, note }, signal);
      if (seen.kind === 'cosigned') return this.#keep(tree, seen.lines);
      if (seen.kind === 'did not grow') throw forked(origin, old);
      if (seen.size > size) throw rolledBack(origin, seen.size, size);
      if (seen.size === old) throw forked(origin, old);
      old = seen.size;
    }
    throw new Error(`the witness names another size of ${origin} each time`);
  }

  async #keep({ path, note, size, keyHash }: SignedNote, lines: string): Promise<void> {
    const { log, placer, verifiers } = this.#options;
    const { name, keyHash: hash } = this.#witness;
    const ours = signatureLines(lines)?.find((line) => line.name === name && line.keyHash === hash);
    const cosigned = note + (ours?.line ?? '');
    if (!ours || !openCosigned(cosigned, verifiers(), [this.#witness]))
      throw new Error(`what the witness answered is no cosignature by ${name}`);
    if (size > 0) await placer.place([[join(log, path, COSIGNED_FILE), Buffer.from(cosigned)]]);
    this.#sent.set(path, { size, keyHash });
  }

  async #isSent({ path, size, keyHash }: SignedNote): Promise<boolean> {
    const sent = await this.#sentOf(path);
    return sent.size === size && sent.keyHash === keyHash;
  }

  /** What was cosigned last; of a tree met for the first time, what lies beside it says so. */
  async #sentOf(path: string): Promise<Sent> {
    const known = this.#sent.get(path);
    if (known) return known;
    const note = String((await readOrNull(join(this.#options.log, path, COSIGNED_FILE))) ?? '');
    const opened = openCosigned(note, this.#options.verifiers(), [this.#witness]);
    const checkpoint = opened && opened.cosignedBy.length > 0 ? parseCheckpoint(opened.text) : null;
    const sent = checkpoint ? { size: checkpoint.size, keyHash: opened!.signedBy.keyHash } : NOTHING;
    this.#sent.set(path, sent);
    return sent;
  }

  async #signed(path: string): Promise<SignedNote | null> {
    const note = await readOrNull(join(this.#options.log, path, CHECKPOINT_FILE));
    return note && this.#noteOf(path, note.toString());
  }

  #noteOf(path: string, note: string): SignedNote {
    const opened = openNote(note, this.#options.verifiers());
    const checkpoint = opened && parseCheckpoint(opened.text);
    if (!checkpoint) throw new Error(`${path}/${CHECKPOINT_FILE} is not signed by a key of this log`);
    const { origin, size } = checkpoint;
    return { path, note, origin, size, keyHash: opened.signedBy.keyHash };
  }
}

function rolledBack(origin: string, seen: number, here: number): InternalError {
  return new InternalError(
    'audit.rolled_back',
    `the witness has cosigned ${seen} records of ${origin}, and here ${here} are signed: a backup was restored or records were removed; bring back the newest copy`,
    { kind: 'outage' },
  );
}

function forked(origin: string, size: number): InternalError {
  return new InternalError(
    'audit.forked',
    `the witness has cosigned another history of ${origin} (${size} records): a backup was restored and went on, or two logs use one name; stop both and compare`,
    { kind: 'outage' },
  );
}
