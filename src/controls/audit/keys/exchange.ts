import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { prepareKeys, retireKeys, rotateKeys } from '../../../core/crypto/key-exchange.ts';
import { openSigningKeys } from '../../../core/crypto/keys.ts';
import { type NoteVerifier, openNote, parseVerifierLine, verifierLine } from '../../../core/crypto/signed-note.ts';
import { InternalError, SettingsError } from '../../../core/internal-error.ts';
import type { Store } from '../../../core/store/store.ts';
import { ROLLUP } from '../rollup/rollup.ts';
import { CHECKPOINT_TABLE } from '../tree/checkpoints.ts';
import { kekSource } from './kek.ts';
import { readWrapped, retireWrapped, rotateWrapped } from './kek-wrapped.ts';
import { countNotUnder } from './keyring.ts';

export interface ExchangeOptions {
  readonly home: string;
  readonly store: Store;
  /** ms UTC */
  readonly now: number;
}

export interface KekExchange {
  /** Key ids. */
  readonly current: string;
  readonly other: string;
  /** The other one was prepared and never used. */
  readonly unused?: boolean;
  readonly place: string;
}

const folderOf = (home: string) => ({ folder: join(home, 'keys'), generate: false });

/** Puts a fresh KEK behind the current one, for every process to have before anything is wrapped under it. @throws SettingsError */
export function prepareKek({ home, store }: ExchangeOptions): KekExchange {
  const keys = folderOf(home);
  const source = kekSource({ keys, store });
  if (source.file !== null) return { ...prepareKeys(keys.folder, 'audit-kek', source.file), place: source.place };
  throw new SettingsError(`key audit-kek: it stands in ${source.place}, where none can be prepared; rotate it there`);
}

/** Puts a fresh KEK first, wherever the home's are. @throws SettingsError, InternalError `audit.kms` */
export async function rotateKek({ home, store, now }: ExchangeOptions): Promise<KekExchange> {
  const keys = folderOf(home);
  const source = kekSource({ keys, store });
  if (source.file !== null) return { ...rotateKeys(keys.folder, 'audit-kek', source.file), place: source.place };
  if (!source.kms)
    throw new SettingsError(`the KEK stands in ${source.place}: put a fresh key first there, and restart`);
  const before = await readWrapped(store, now);
  if (!before) throw new SettingsError('there is no wrapped KEK yet: start the gateway once');
  // A home that came from a key file has that as its second KEK until nothing is wrapped under it: a third has no place.
  const needed = await stillNeeded('audit-kek', { home, store, now });
  if (before.keks.length === 1 && needed !== null) throw new SettingsError(`key audit-kek: ${needed}`);
  const current = await rotateWrapped(store, source.kms, before, now);
  if (current === null) throw new SettingsError('two KEKs are live; run gatewrit keys retire audit-kek first');
  return { current, other: before.keks[0]!.kid, place: source.place };
}

/** Takes the previous KEK away. @throws SettingsError when it is still needed, or there is none */
export async function retireKek(options: ExchangeOptions): Promise<KekExchange> {
  const needed = await stillNeeded('audit-kek', options);
  if (needed !== null) throw new SettingsError(`key audit-kek: ${needed}`);
  const { home, store, now } = options;
  const keys = folderOf(home);
  const source = kekSource({ keys, store });
  if (source.file !== null) return { ...retireKeys(keys.folder, 'audit-kek', source.file), place: source.place };
  const before = source.kms && (await readWrapped(store, now));
  const [current, previous] = before?.keks ?? [];
  if (!before || !current || !previous)
    throw new SettingsError(`key audit-kek: there is none to retire in ${source.place}`);
  if (!(await retireWrapped(store, before, now))) throw new SettingsError('somebody else changed the KEKs; look again');
  return { current: current.kid, other: previous.kid, place: source.place };
}

/** Why the previous key of a class cannot go yet, in words; null: nothing needs it. */
export async function stillNeeded(
  name: 'audit-kek' | 'checkpoint',
  { home, store, now }: ExchangeOptions,
): Promise<string | null> {
  if (name === 'checkpoint') return checkpointsLeft({ home, store, now });
  const source = kekSource({ keys: folderOf(home), store });
  const current = source.kms ? (await readWrapped(store, now))?.keks[0]?.kid : (await source.open(now))[0].kid;
  if (current === undefined) return null;
  const left = await countNotUnder(store, current, now);
  return left === 0 ? null : `${left} stored keys are not wrapped under ${current} yet; ${GOES_ON}`;
}

const GOES_ON = 'a running gateway does it in the background, a start goes on with it';

/** A signed note of a replica, or of the roll-up. */
type NoteOf = readonly [replica: string, note: string];

const othersIn = (notes: readonly NoteOf[], verifiers: readonly NoteVerifier[]) =>
  notes.filter(([, note]) => openNote(note, verifiers) === null);

const replicasOf = (notes: readonly NoteOf[]) => [...new Set(notes.map(([replica]) => replica))].sort().join(', ');

const notesAt = (home: string, patterns: readonly string[]): NoteOf[] =>
  globSync(patterns, { cwd: home }).map((file) => [file.split(sep)[1]!, readFileSync(join(home, file), 'utf8')]);

/** Both copies of every checkpoint must bear the current key: what a start cannot read it refuses. */
async function checkpointsLeft({ home, store, now }: ExchangeOptions): Promise<string | null> {
  const printed = join(home, 'keys', 'audit.pub');
  if (!existsSync(printed)) return null;
  const name = parseVerifierLine(readFileSync(printed, 'utf8').split('\n')[0]!)?.name;
  if (name === undefined) throw new InternalError('audit.keys', `${printed} is not a list of keys`, { kind: 'outage' });
  const [current] = openSigningKeys(folderOf(home), 'checkpoint');
  const verifiers = [parseVerifierLine(verifierLine(name, current.publicKey))!];
  const notes = notesAt(home, [
    'audit/*/journal/checkpoint',
    'audit/*/trees/*/checkpoint',
    'audit/rollup/*/checkpoint',
  ]);
  // A home has at most a few trees per tenant: one page would hold them, the loop is for those that have more.
  for (let after: string | undefined; ; ) {
    const rows = await store.list(CHECKPOINT_TABLE, { prefix: '', limit: 500, ...(after ? { after } : {}), now });
    for (const { key, value } of rows) {
      const [tree, replica] = key.split('/');
      notes.push([tree === ROLLUP ? ROLLUP : replica!, Buffer.from(value).toString()]);
    }
    after = rows.at(-1)?.key;
    if (rows.length < 500) break;
  }
  const left = othersIn(notes, verifiers);
  if (left.length > 0)
    return `${left.length} checkpoints are not signed by ${current.kid} yet (${replicasOf(left)}); ${GOES_ON}, and those of a replica that was retired are signed by another gatewrit audit retire --replica`;
  // Whoever verifies with the new key alone would take one that a witness has not seen anew for forged.
  const cosigned = notesAt(home, ['audit/*/journal/cosigned', 'audit/*/trees/*/cosigned']);
  const behind = othersIn(cosigned, verifiers);
  if (behind.length === 0) return null;
  return `${behind.length} cosigned checkpoints are not signed by ${current.kid} yet (${replicasOf(behind)}): the witness has to know it and answer; where there is none any more, keep the files "cosigned" elsewhere`;
}
