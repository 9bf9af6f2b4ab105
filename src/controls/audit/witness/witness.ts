import { cosign } from '../../../core/crypto/cosignature.ts';
import { EMPTY_ROOT, verifyConsistency } from '../../../core/crypto/merkle.ts';
import {
  type Checkpoint,
  type NoteSigner,
  openNote,
  parseCheckpoint,
  splitNote,
} from '../../../core/crypto/signed-note.ts';
import { firstLines, type WitnessMemory } from './memory.ts';
import { parseSubmission } from './submission.ts';
import { keysFor, type WitnessedLog } from './witnessed-logs.ts';

/** What `add-checkpoint` is answered with: the statuses of C2SP tlog-witness. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422 | 507;
  readonly type: 'text/plain; charset=utf-8' | 'text/x.tlog.size';
  readonly body: string;
}

export interface WitnessOptions {
  readonly signer: NoteSigner;
  readonly logs: readonly WitnessedLog[];
  readonly memory: WitnessMemory;
  /** Origins that are remembered at most: whoever holds a log's key can make up as many as he likes. */
  readonly maxOrigins: number;
  /** ms UTC */
  readonly now: () => number;
}

/** Letters, digits and what origins are made of; no control characters, no blanks. */
const ORIGIN = /^[\x21-\x7e\u00a1-\u{10ffff}]{1,1024}$/u;

/**
 * Cosigns a checkpoint when it grew from the one cosigned before (C2SP tlog-witness v1.0.0). The submission is
 * attacker-controlled. Nothing waits in here: compare, remember durably, sign is one step.
 */
export class Witness {
  readonly #options: WitnessOptions;

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.signer.name;
  }

  /** @throws InternalError `witness.state`, and what the file system throws: nothing was cosigned then */
  addCheckpoint(body: Uint8Array): WitnessAnswer {
    const { signer, logs, memory, maxOrigins, now } = this.#options;
    const submission = parseSubmission(body);
    const text = submission && splitNote(submission.note)!.text;
    const checkpoint = text === null ? null : readCheckpoint(text);
    if (!submission || text === null || !checkpoint)
      return said(400, 'this is not an old size, a proof and a checkpoint');
    const { origin, size } = checkpoint;
    const keys = keysFor(origin, logs);
    if (keys.length === 0) return said(404, 'this origin is not witnessed here');
    if (!openNote(submission.note, keys)) return said(403, 'no key that is known for this origin has signed this');
    if (submission.old > size) return said(400, 'the old size is larger than the checkpoint');
    const known = memory.of(origin);
    if (submission.old !== (known?.size ?? 0)) return conflict(known);
    const isSame = known?.size === size;
    if (isSame && Buffer.compare(known.root, checkpoint.root) !== 0) return conflict(known);
    if (!grows(known, checkpoint, submission.proof)) return said(422, 'the tree did not grow from the one seen before');
    if (!known && memory.origins >= maxOrigins) return said(507, 'this witness has no room for another origin');
    const cosignature = cosign(text, signer, Math.floor(now() / 1000));
    if (!isSame) memory.remember(origin, submission.note + cosignature, !known);
    return { status: 200, type: 'text/plain; charset=utf-8', body: cosignature };
  }
}

/** A foreign log may extend its checkpoints; what it adds is cosigned and not understood. */
function readCheckpoint(text: string): Checkpoint | null {
  const checkpoint = parseCheckpoint(firstLines(text));
  const extensions = text.split('\n').slice(3, -1);
  if (!checkpoint || !ORIGIN.test(checkpoint.origin) || extensions.includes('')) return null;
  return checkpoint;
}

function grows(known: Checkpoint | null, to: Checkpoint, proof: readonly Uint8Array[]): boolean {
  if (to.size === 0) return proof.length === 0 && Buffer.compare(to.root, EMPTY_ROOT) === 0;
  if (!known || known.size === 0) return proof.length === 0;
  return verifyConsistency({ from: known.size, to: to.size, fromRoot: known.root, toRoot: to.root, proof });
}

function conflict(known: Checkpoint | null): WitnessAnswer {
  return { status: 409, type: 'text/x.tlog.size', body: `${known?.size ?? 0}\n` };
}

function said(status: WitnessAnswer['status'], what: string): WitnessAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${what}\n` };
}
