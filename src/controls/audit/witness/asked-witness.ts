import { openCosigned, parseWitnessLine, type WitnessVerifier } from '../../../core/crypto/cosignature.ts';
import { type NoteVerifier, parseCheckpoint, signatureLines } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { OneWitness } from './settings.ts';
import { WitnessClient } from './witness-client.ts';

/** A tree as it was signed last. */
export interface SignedTree {
  /** Below the replica's folder. */
  readonly path: string;
  readonly note: string;
  readonly origin: string;
  readonly size: number;
  /** Which key of the log signed it: what was signed anew is shown anew. */
  readonly keyHash: string;
}

type Seen = Pick<SignedTree, 'size' | 'keyHash'>;

const NOTHING: Seen = { size: 0, keyHash: '' };
/** The size is learnt, then shown again; a second other size means that somebody else shows this log. */
const ATTEMPTS = 3;

/** One witness, and what it has cosigned of each tree as far as we know. Its answers are attacker-controlled. */
export class AskedWitness {
  readonly #verifier: WitnessVerifier;
  readonly #client: WitnessClient;
  /** Asked each time: keys are replaced while the log is written. */
  readonly #verifiers: () => readonly NoteVerifier[];
  readonly #seen = new Map<string, Seen>();

  /** @throws SettingsError when the authority's certificate cannot be read */
  constructor(settings: OneWitness, timeoutMs: number, verifiers: () => readonly NoteVerifier[]) {
    this.#verifier = parseWitnessLine(settings.key)!;
    this.#client = new WitnessClient(settings, timeoutMs);
    this.#verifiers = verifiers;
  }

  get name(): string {
    return this.#verifier.name;
  }

  has({ path, size, keyHash }: SignedTree): boolean {
    const seen = this.#seen.get(path);
    return seen?.size === size && seen.keyHash === keyHash;
  }

  /** Takes from a cosigned checkpoint what this witness has seen of a tree. */
  remember(path: string, cosigned: string): void {
    const opened = openCosigned(cosigned, this.#verifiers(), [this.#verifier]);
    const checkpoint = opened && opened.cosignedBy.length > 0 ? parseCheckpoint(opened.text) : null;
    this.#seen.set(path, checkpoint ? { size: checkpoint.size, keyHash: opened!.signedBy.keyHash } : NOTHING);
  }

  /**
   * Shows it a tree.
   * @param proofFrom the consistency proof from a size that it has seen
   * @returns its signature line
   * @throws InternalError `audit.rolled_back`, `audit.forked`; Error when the witness cannot say
   */
  async show(
    tree: SignedTree,
    proofFrom: (old: number) => readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<string> {
    const { path, note, origin, size } = tree;
    let old = Math.min(size, (this.#seen.get(path) ?? NOTHING).size);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const answer = await this.#client.show({ old, proof: proofFrom(old), note }, signal);
      if (answer.kind === 'cosigned') return this.#taken(tree, answer.lines);
      if (answer.kind === 'did not grow') throw forked(this.name, origin, old);
      if (answer.size > size) throw rolledBack(this.name, origin, answer.size, size);
      if (answer.size === old) throw forked(this.name, origin, old);
      old = answer.size;
    }
    throw new Error(`it names another size of ${origin} each time`);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #taken({ path, note, size, keyHash }: SignedTree, lines: string): string {
    const { name, keyHash: hash } = this.#verifier;
    const ours = signatureLines(lines)?.find((line) => line.name === name && line.keyHash === hash);
    if (!ours || !openCosigned(note + ours.line, this.#verifiers(), [this.#verifier]))
      throw new Error(`what it answered is no cosignature by ${name}`);
    this.#seen.set(path, { size, keyHash });
    return ours.line;
  }
}

function rolledBack(witness: string, origin: string, seen: number, here: number): InternalError {
  return new InternalError(
    'audit.rolled_back',
    `the witness ${witness} has cosigned ${seen} records of ${origin}, and here ${here} are signed: a backup was restored or records were removed; bring back the newest copy`,
    { kind: 'outage' },
  );
}

function forked(witness: string, origin: string, size: number): InternalError {
  return new InternalError(
    'audit.forked',
    `the witness ${witness} has cosigned another history of ${origin} (${size} records): a backup was restored and went on, or two logs use one name; stop both and compare`,
    { kind: 'outage' },
  );
}
