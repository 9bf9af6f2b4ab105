import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { consistencyProof, EMPTY_ROOT } from '../../../core/crypto/merkle.ts';
import { type NoteVerifier, openNote, parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Log } from '../../../core/log.ts';
import type { Placer } from '../journal/files.ts';
import { type Carrier, SinkBroken } from '../sinks/following.ts';
import { readOrNull } from '../sinks/tree-files.ts';
import { CHECKPOINT_FILE } from '../tree/checkpoints.ts';
import { nodesOnDisk } from '../tree/tree.ts';
import { AskedWitness, type SignedTree } from './asked-witness.ts';
import { allWitnesses, quorumOf, type WitnessSettings } from './settings.ts';

/** Beside a tree's `checkpoint`: the same, or a smaller one, with the cosignatures of the witnesses. */
export const COSIGNED_FILE = 'cosigned';

export interface AnchorOptions {
  readonly settings: WitnessSettings;
  /** `<home>/audit/<replica>` */
  readonly log: string;
  /** Asked each time: keys are replaced while the log is written. */
  readonly verifiers: () => readonly NoteVerifier[];
  /** Its own: the writer of the trees has another. */
  readonly placer: Placer;
  readonly tell: Log;
}

/** Shows every tree that has grown to the witnesses and keeps what enough of them cosigned. */
export class Anchor implements Carrier {
  readonly #options: AnchorOptions;
  readonly #witnesses: readonly AskedWitness[];
  readonly #quorum: number;
  readonly #remembered = new Set<string>();
  /** Every tree has been looked at once: at the start the journal is shown alone. */
  #isBegun = false;
  /** Who did not cosign last time although enough others did, and why: said once. */
  readonly #away = new Map<AskedWitness, string>();
  /** Told when the log is not the one that a witness has seen: nothing more may be signed. */
  onFatal: (error: InternalError) => void = () => undefined;

  constructor(options: AnchorOptions) {
    const { settings, verifiers } = options;
    this.#options = options;
    this.#witnesses = allWitnesses(settings).map((one) => new AskedWitness(one, settings.timeoutMs, verifiers));
    this.#quorum = quorumOf(settings);
  }

  /**
   * Before anything is signed: does a witness know a longer log, or another one? A restored backup is found also when
   * the copy in the store was restored with it. One witness that says so is enough: a quorum is who must say yes.
   * @param empty a signed checkpoint of the journal without records, for a log of which nothing is there
   * @returns why too few could be asked, or null
   * @throws InternalError `audit.rolled_back`, `audit.forked`
   */
  async refuseOlder(empty: (size: number, root: Uint8Array) => string): Promise<string | null> {
    const journal = (await this.#signed('journal')) ?? this.#noteOf('journal', empty(0, EMPTY_ROOT));
    try {
      await this.#show(journal, new Set(this.#witnesses), new AbortController().signal);
      return null;
    } catch (error) {
      if (error instanceof InternalError) throw error;
      return error instanceof Error ? error.message : String(error);
    }
  }

  async carry(signal: AbortSignal): Promise<void> {
    const journal = await this.#signed('journal');
    if (!journal || (this.#isBegun && (await this.#isCosigned(journal)))) return;
    const tags = await readdir(join(this.#options.log, 'trees'));
    // Who does not answer is not waited for again at each tree of this round.
    const asked = new Set(this.#witnesses);
    try {
      for (const tag of tags) {
        const tree = await this.#signed(`trees/${tag}`);
        if (tree && !(await this.#isCosigned(tree))) await this.#show(tree, asked, signal);
      }
      // The last: when the journal is cosigned, everything it covers is.
      if (!(await this.#isCosigned(journal))) await this.#show(journal, asked, signal);
      this.#isBegun = true;
    } catch (error) {
      if (!(error instanceof InternalError)) throw error;
      this.onFatal(error);
      throw new SinkBroken(error.message);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#witnesses.map((witness) => witness.close()));
  }

  /**
   * Shows a tree to all that are still asked, and keeps what they say when they are enough.
   * @param asked who fails is taken out
   * @throws InternalError `audit.rolled_back`, `audit.forked`; Error when too few can say
   */
  async #show(tree: SignedTree, asked: Set<AskedWitness>, signal: AbortSignal): Promise<void> {
    const nodeAt = nodesOnDisk(join(this.#options.log, tree.path), tree.size);
    const proofFrom = (old: number) => consistencyProof(old, tree.size, nodeAt);
    await this.#remember(tree.path);
    const witnesses = [...asked];
    const answers = await Promise.allSettled(witnesses.map((one) => one.show(tree, proofFrom, signal)));
    const lines: string[] = [];
    let fatal: InternalError | null = null;
    for (const [i, answer] of answers.entries()) {
      const witness = witnesses[i]!;
      if (answer.status === 'fulfilled') {
        lines.push(answer.value);
        if (this.#away.delete(witness)) this.#options.tell.info('a witness cosigns again', { evidence: witness.name });
      } else if (answer.reason instanceof InternalError) fatal ??= answer.reason;
      else {
        asked.delete(witness);
        this.#missed(witness, answer.reason);
      }
    }
    if (fatal) throw fatal;
    if (lines.length < this.#quorum) throw new Error(this.#tooFew(lines.length));
    if (tree.size > 0) await this.#keep(tree, lines);
  }

  async #keep({ path, note }: SignedTree, lines: readonly string[]): Promise<void> {
    const { log, placer } = this.#options;
    await placer.place([[join(log, path, COSIGNED_FILE), Buffer.from(note + lines.join(''))]]);
  }

  #missed(witness: AskedWitness, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    // One witness that is away says so by what it is that fails; of several it would not be seen while enough cosign.
    if (!this.#away.has(witness) && this.#witnesses.length > 1)
      this.#options.tell.warn('a witness does not cosign', { evidence: witness.name, reason });
    this.#away.set(witness, reason);
  }

  #tooFew(cosigned: number): string {
    const reasons = [...this.#away].map(([{ name }, reason]) => `${name}: ${reason}`);
    if (this.#witnesses.length === 1) return [...this.#away.values()].join();
    return `${cosigned} of ${this.#witnesses.length} witnesses cosigned and ${this.#quorum} must; ${reasons.join('; ')}`;
  }

  /** Enough witnesses have cosigned this very checkpoint. */
  async #isCosigned(tree: SignedTree): Promise<boolean> {
    await this.#remember(tree.path);
    return this.#witnesses.filter((witness) => witness.has(tree)).length >= this.#quorum;
  }

  /** Of a tree met for the first time, what lies beside it says who has cosigned what. */
  async #remember(path: string): Promise<void> {
    if (this.#remembered.has(path)) return;
    const cosigned = await readOrNull(join(this.#options.log, path, COSIGNED_FILE));
    for (const witness of this.#witnesses) witness.remember(path, String(cosigned ?? ''));
    this.#remembered.add(path);
  }

  async #signed(path: string): Promise<SignedTree | null> {
    const note = await readOrNull(join(this.#options.log, path, CHECKPOINT_FILE));
    return note && this.#noteOf(path, note.toString());
  }

  #noteOf(path: string, note: string): SignedTree {
    const opened = openNote(note, this.#options.verifiers());
    const checkpoint = opened && parseCheckpoint(opened.text);
    if (!checkpoint) throw new Error(`${path}/${CHECKPOINT_FILE} is not signed by a key of this log`);
    const { origin, size } = checkpoint;
    return { path, note, origin, size, keyHash: opened.signedBy.keyHash };
  }
}
