import { HASH_BYTES, inclusionProof } from '../../../core/crypto/merkle.ts';
import { parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import { nodesFromTiles, TILE_WIDTH, type TileName, tilePath, tileWidthAt } from '../../../core/crypto/tiles.ts';
import { tlogProofText } from '../../../core/crypto/tlog-proof.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { envelopeText, type PartName } from '../format/envelope.ts';
import type { OpenRecord } from '../reader/read.ts';
import { folderSource, type LogSource } from '../verifier/source.ts';
import { encodeEvidence } from './evidence.ts';

/** What of a record may be handed out, by the word for it. */
export const DISCLOSURES = {
  nothing: [],
  meta: ['meta'],
  payload: ['payload'],
  all: ['meta', 'payload'],
} as const satisfies Record<string, readonly PartName[]>;
export type Disclosure = keyof typeof DISCLOSURES;

/** No signed checkpoint covers the record yet: its tree has `signed` leaves. Nothing can be proven of it now. */
export interface NotSigned {
  readonly signed: number;
}

/** A checkpoint is three lines and signatures. */
const MAX_NOTE_BYTES = 64 * 1024;

/**
 * The proof that a record stands in its tree, as a text: under the cosigned checkpoint when that covers it, else under
 * the newest. Only what is `disclosed`, and could be opened, leaves the log in clear. Verify what comes out: the tree it
 * is taken from is not checked here.
 * @param replica `<home>/audit/<replica>` of the record, or another place that holds the same
 */
export async function proofOf(
  replica: string | LogSource,
  record: OpenRecord,
  disclosed: readonly PartName[],
): Promise<string | NotSigned> {
  const log = typeof replica === 'string' ? folderSource(replica) : replica;
  const tree = `trees/${record.origin.split('/')[1]}`;
  const signed = await checkpointOver(log, tree, record.leaf);
  if (typeof signed !== 'string') return signed;
  const size = parseCheckpoint(signed.slice(0, signed.indexOf('\n\n') + 1))!.size;
  const path = await auditPath(log, tree, record.leaf, size);
  const entry = Buffer.from(envelopeText(record.envelope));
  const openings = new Map([...record.openings].filter(([name]) => disclosed.includes(name)));
  return tlogProofText({ extra: encodeEvidence({ entry, openings }), index: record.leaf, path, checkpoint: signed });
}

async function checkpointOver(log: LogSource, tree: string, leaf: number): Promise<string | NotSigned> {
  let signed = 0;
  for (const file of ['cosigned', 'checkpoint']) {
    const note = (await log.read(`${tree}/${file}`, 0, MAX_NOTE_BYTES))?.toString('utf8');
    const size = note === undefined ? 0 : (parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))?.size ?? 0);
    if (note !== undefined && size > leaf) return note;
    signed = Math.max(signed, size);
  }
  return { signed };
}

/** The path from the few tiles it takes, read once each. */
async function auditPath(log: LogSource, tree: string, leaf: number, size: number): Promise<Uint8Array[]> {
  const tiles = new Map<string, Uint8Array>();
  const wanted = new Map<string, TileName & { level: number }>();
  const nodeAt = nodesFromTiles((level, index) => {
    wanted.set(`${level}/${index}`, { level, index, width: tileWidthAt(size, level, index) });
    return tiles.get(`${level}/${index}`) ?? UNREAD;
  });
  // Which hashes a path takes does not depend on the hashes.
  inclusionProof(leaf, size, nodeAt);
  for (const [name, tile] of wanted) tiles.set(name, await readTile(log, tree, tile));
  return inclusionProof(leaf, size, nodeAt);
}

const UNREAD = new Uint8Array(TILE_WIDTH * HASH_BYTES);

/** The tile at this width, or the whole one that took its place meanwhile. */
async function readTile(log: LogSource, tree: string, tile: TileName): Promise<Buffer> {
  const length = tile.width * HASH_BYTES;
  for (const width of [tile.width, TILE_WIDTH]) {
    const bytes = await log.read(`${tree}/${tilePath({ ...tile, width })}`, 0, length);
    if (bytes?.length === length) return bytes;
  }
  throw new InternalError(
    'audit.corrupt',
    `${tree}/${tilePath(tile)} is missing in ${log.name}; run gatewrit audit verify`,
    { kind: 'outage' },
  );
}
