import { join } from 'node:path';
import type { Now } from '../../../core/call.ts';
import type { Checkpoint, NoteVerifier } from '../../../core/crypto/signed-note.ts';
import type { InternalError } from '../../../core/internal-error.ts';
import type { Log } from '../../../core/log.ts';
import type { Follower } from '../follower.ts';
import { type Files, makeFolder, Placer } from '../journal/files.ts';
import { Following } from '../sinks/following.ts';
import { Anchor } from './anchor.ts';
import { type WitnessSettings, witnessWords } from './settings.ts';

export interface AnchorSurroundings {
  /** `<home>/audit/<replica>` */
  readonly log: string;
  /** For files on their way, of this alone. */
  readonly work: string;
  readonly files: Files;
  /** Origin of the journal. */
  readonly origin: string;
  readonly keys: { readonly verifiers: readonly NoteVerifier[]; sign(checkpoint: Checkpoint): string };
  readonly clock: () => Now;
  readonly tell: Log;
}

/** What an opened log does with its witness; nothing when there is none. */
export interface Anchored {
  /** To be told of publications from now on. @param onFatal the witness has seen another log, or a longer one */
  follow(onFatal: (error: InternalError) => void): Follower[];
}

/**
 * Asks the witness, before anything is signed, whether it knows a longer log. One that cannot be reached lets the log
 * open: what is not cosigned in time closes it, when it is required.
 * @throws InternalError `audit.rolled_back`, `audit.forked`; SettingsError
 */
export async function openAnchor(
  settings: WitnessSettings | undefined,
  { log, work, files, origin, keys, clock, tell }: AnchorSurroundings,
): Promise<Anchored> {
  if (!settings) return { follow: () => [] };
  const folder = join(work, 'cosigned');
  makeFolder(files, folder);
  const anchor = new Anchor({
    settings,
    log,
    verifiers: () => keys.verifiers,
    placer: new Placer(files, folder),
    tell,
  });
  try {
    const reason = await anchor.refuseOlder((size, root) => keys.sign({ origin, size, root }));
    if (reason !== null) tell.warn('the witness cannot be asked; the log opens without it', { reason });
  } catch (error) {
    await anchor.close();
    throw error;
  }
  return {
    follow(onFatal) {
      anchor.onFatal = onFatal;
      const { required, deadlineMs, everyMs } = settings;
      const name = witnessWords(settings);
      return [new Following({ name, required, deadlineMs, everyMs, clock, log: tell, carrier: anchor })];
    },
  };
}
