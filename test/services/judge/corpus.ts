import type { KeyObject } from 'node:crypto';
import { cosign } from '../../../src/core/crypto/cosignature.ts';
import { type Checkpoint, checkpointText, parseCheckpoint, signNote } from '../../../src/core/crypto/signed-note.ts';
import { Forgery, frameOf, mended } from './forgery.ts';
import type { LogFiles } from './written-log.ts';

/** What a forger may have at hand. */
export interface Means {
  /** The log's own checkpoint key: only who holds it can do what uses it. */
  readonly own: (text: string) => string;
  /** Another key of the same name. */
  readonly stranger: (text: string) => string;
  readonly witness: { name: string; privateKey: KeyObject; publicKey: KeyObject };
  /** The log as it stood half-way, and the log of another installation of the same name and replica. */
  readonly older: LogFiles;
  readonly other: LogFiles;
}

export interface Harm {
  readonly name: string;
  readonly do: (log: Forgery, means: Means) => void;
  /** Seen only by who kept a checkpoint of the journal from before. */
  readonly kept?: true;
}

const JOURNAL = 'journal/checkpoint';
const TREE = /^trees\/[0-9a-f]+\/checkpoint$/;
/** Of the largest tenant's tree: the files of one folder only. */
const WHOLE_BUNDLE = /^trees\/.*\/tile\/entries\/[0-9]+$/;
const WHOLE_TILE = /^trees\/.*\/tile\/0\/[0-9]+$/;

const textOf = (note: string) => note.slice(0, note.lastIndexOf('\n\n') + 1);
const checkpointOf = (log: Forgery, path: string) => parseCheckpoint(textOf(log.bytes(path).toString()))!;
/** The checkpoint at `path` with other contents, signed. */
const resign = (
  log: Forgery,
  path: string,
  sign: (text: string) => string,
  change: (checkpoint: Checkpoint) => Partial<Checkpoint> = () => ({}),
) => {
  const checkpoint = checkpointOf(log, path);
  log.files.set(path, Buffer.from(sign(checkpointText({ ...checkpoint, ...change(checkpoint) }))));
};
const flipped = (bytes: Uint8Array) => Buffer.from(bytes).fill((bytes[5] ?? 0) ^ 1, 5, 6);
const folderOf = (path: string) => path.replace(/\/[^/]*$/, '');
/** Each is done to a copy of its own; all of them must be refused. */
export const HARMS: readonly Harm[] = [
  // Checkpoints by people without the key.
  ...[JOURNAL, TREE].flatMap((path): Harm[] => {
    const at = (log: Forgery) => (typeof path === 'string' ? path : log.one(path));
    const of = typeof path === 'string' ? 'of the journal' : 'of a tenant';
    return [
      { name: `checkpoint ${of}: another origin`, do: (l) => l.text(at(l), (t) => t.replace('node-1', 'node-2')) },
      {
        name: `checkpoint ${of}: one record less`,
        do: (l) => l.text(at(l), (t) => t.replace(/\n(\d+)\n/, (_, n) => `\n${n - 1}\n`)),
      },
      { name: `checkpoint ${of}: one bit of the root`, do: (l) => l.text(at(l), (t) => spoilLine(t, 2)) },
      { name: `checkpoint ${of}: one bit of the signature`, do: (l) => l.text(at(l), (t) => spoilLine(t, 4)) },
      {
        name: `checkpoint ${of}: signed in another name`,
        do: (l) => l.text(at(l), (t) => t.replace('— test', '— tess')),
      },
      { name: `checkpoint ${of}: without its signature`, do: (l) => l.text(at(l), textOf) },
      { name: `checkpoint ${of}: cut short`, do: (l) => l.edit(at(l), (b) => b.subarray(0, -1)) },
      {
        name: `checkpoint ${of}: a line more, unsigned`,
        do: (l) => l.text(at(l), (t) => t.replace('\n\n', '\nx\n\n')),
      },
      { name: `checkpoint ${of}: empty`, do: (l) => l.edit(at(l), () => Buffer.alloc(0)) },
      {
        name: `checkpoint ${of}: a megabyte`,
        do: (l) => l.edit(at(l), (b) => Buffer.concat([b, Buffer.alloc(2 ** 20)])),
      },
      { name: `checkpoint ${of}: gone`, do: (l) => void l.files.delete(at(l)) },
      { name: `checkpoint ${of}: by another key of this name`, do: (l, m) => resign(l, at(l), m.stranger) },
      // And by who has the key.
      {
        name: `checkpoint ${of}: by the right key for another replica`,
        do: (l, m) => resign(l, at(l), m.own, ({ origin }) => ({ origin: origin.replace('node-1', 'node-2') })),
      },
      {
        name: `checkpoint ${of}: by the right key for another deployment`,
        do: (l, m) => resign(l, at(l), m.own, ({ origin }) => ({ origin: origin.replace('test/', 'prod/') })),
      },
      {
        name: `checkpoint ${of}: by the right key, of another root`,
        do: (l, m) => resign(l, at(l), m.own, ({ root }) => ({ root: flipped(root) })),
      },
      {
        name: `checkpoint ${of}: by the right key, of one record more`,
        do: (l, m) => resign(l, at(l), m.own, ({ size }) => ({ size: size + 1 })),
      },
      {
        name: `checkpoint ${of}: by the right key, of no record`,
        do: (l, m) => resign(l, at(l), m.own, () => ({ size: 0 })),
      },
      {
        name: `checkpoint ${of}: by the right key with a fourth line`,
        do: (l, m) => l.text(at(l), (t) => m.own(`${textOf(t)}extension\n`)),
      },
      {
        name: `checkpoint ${of}: by the right key, a size with a leading zero`,
        do: (l, m) => l.text(at(l), (t) => m.own(textOf(t).replace(/\n(\d+)\n/, '\n0$1\n'))),
      },
    ];
  }),
  { name: 'checkpoints of two tenants swapped', do: (l) => l.swap(l.one(TREE, 0), l.one(TREE, 1)) },
  { name: 'the journal’s checkpoint as a tenant’s', do: (l) => l.files.set(l.one(TREE), l.bytes(JOURNAL)) },
  {
    name: 'an older checkpoint of a tenant put back',
    do: (l, m) => {
      const path = l.all(TREE).find((tree) => m.older.has(tree) && !l.bytes(tree).equals(m.older.get(tree)!))!;
      l.files.set(path, m.older.get(path)!);
    },
  },
  // What witnesses saw.
  ...(
    [
      ['one bit of the root', (text: string) => spoilLine(text, 2)],
      ['not signed by the log', (text: string) => text.replace(/— test .*\n/, '')],
      ['cut short', (text: string) => text.slice(0, -20)],
    ] as const
  ).map(
    ([what, spoil]): Harm => ({
      name: `cosigned: ${what}`,
      do: (l, m) => l.files.set('journal/cosigned', Buffer.from(spoil(cosigned(l.bytes(JOURNAL).toString(), m)))),
    }),
  ),
  {
    name: 'cosigned: another history, by the right key',
    do: (l, m) => {
      const { origin, size, root } = checkpointOf(l, JOURNAL);
      const text = checkpointText({ origin, size: size - 1, root: flipped(root) });
      l.files.set('journal/cosigned', Buffer.from(cosigned(m.own(text), m)));
    },
  },
  {
    name: 'cosigned: more than there is, by the right key',
    do: (l, m) => {
      const { origin, size, root } = checkpointOf(l, JOURNAL);
      const text = checkpointText({ origin, size: size + 1, root });
      l.files.set('journal/cosigned', Buffer.from(cosigned(m.own(text), m)));
    },
  },
  {
    name: 'cosigned: of another tree',
    do: (l, m) => l.files.set('journal/cosigned', Buffer.from(cosigned(l.bytes(l.one(TREE)).toString(), m))),
  },
  // Tiles and bundles.
  ...(
    [
      ['a leaf tile of a tenant', WHOLE_TILE],
      ['a partial leaf tile of a tenant', /^trees\/.*\/tile\/0\/.*\.p\//],
      ['an upper tile of a tenant', /^trees\/.*\/tile\/1\//],
      ['a bundle of a tenant', WHOLE_BUNDLE],
      ['a partial bundle of a tenant', /^trees\/.*\/tile\/entries\/.*\.p\//],
      ['a leaf tile of the journal', /^journal\/tile\/0\/[0-9]+$/],
      ['an upper tile of the journal', /^journal\/tile\/1\//],
    ] as const
  ).flatMap(([what, pattern]): Harm[] => [
    { name: `${what}: first bit`, do: (l) => l.flip(l.one(pattern), 0, 0x80) },
    { name: `${what}: a bit in the middle`, do: (l) => l.flip(l.one(pattern, 0.5), 0.5) },
    { name: `${what}: last bit`, do: (l) => l.flip(l.one(pattern, 1), -1) },
    { name: `${what}: one byte short`, do: (l) => l.edit(l.one(pattern), (b) => b.subarray(0, -1)) },
    { name: `${what}: empty`, do: (l) => l.edit(l.one(pattern), () => Buffer.alloc(0)) },
    {
      name: `${what}: a hash too many`,
      do: (l) => l.edit(l.one(pattern), (b) => Buffer.concat([b, Buffer.alloc(32)])),
    },
  ]),
  ...[WHOLE_TILE, WHOLE_BUNDLE, /^journal\/tile\/0\/[0-9]+$/].map(
    (pattern): Harm => ({ name: `gone: ${pattern.source}`, do: (l) => void l.files.delete(l.one(pattern)) }),
  ),
  {
    name: 'two hashes of a leaf tile swapped',
    do: (l) => l.edit(l.one(WHOLE_TILE), (b) => Buffer.concat([b.subarray(32, 64), b.subarray(0, 32), b.subarray(64)])),
  },
  {
    name: 'leaf tiles of two places swapped',
    do: (l) => l.swap(l.one(/^journal\/tile\/0\/000$/), l.one(/^journal\/tile\/0\/001$/)),
  },
  {
    name: 'a leaf tile of one tenant in the tree of another',
    do: (l) => l.swap(l.one(WHOLE_TILE, 0), l.one(WHOLE_TILE, 1)),
  },
  {
    name: 'a leaf tile of the journal in the tree of a tenant',
    do: (l) => l.files.set(l.one(WHOLE_TILE), l.bytes('journal/tile/0/000')),
  },
  { name: 'bundles of two tenants swapped', do: (l) => l.swap(l.one(WHOLE_BUNDLE, 0), l.one(WHOLE_BUNDLE, 1)) },
  {
    name: 'two entries of a bundle swapped',
    do: (l) => l.entries(l.one(WHOLE_BUNDLE), (e) => e.splice(10, 2, e[11]!, e[10]!)),
  },
  { name: 'an entry of a bundle left out', do: (l) => l.entries(l.one(WHOLE_BUNDLE), (e) => e.splice(10, 1)) },
  { name: 'an entry of a bundle twice', do: (l) => l.entries(l.one(WHOLE_BUNDLE), (e) => e.splice(11, 1, e[10]!)) },
  {
    name: 'the last entry of a bundle is empty',
    do: (l) => l.entries(l.one(WHOLE_BUNDLE), (e) => e.splice(255, 1, Buffer.alloc(0))),
  },
  {
    name: 'a bundle in the journal, which has none',
    do: (l) => l.files.set('journal/tile/entries/000', l.bytes(l.one(WHOLE_BUNDLE))),
  },
  {
    name: 'a tile of a level that the tree has not',
    do: (l) => l.files.set('journal/tile/3/000.p/1', Buffer.alloc(32)),
  },
  {
    name: 'a tile farther on than the tree goes',
    do: (l) => l.files.set('journal/tile/0/900', l.bytes('journal/tile/0/000')),
  },
  {
    name: 'a partial tile as wide as a whole one',
    do: (l) => l.files.set('journal/tile/0/000.p/256', l.bytes('journal/tile/0/000')),
  },
  { name: 'a file among the tiles', do: (l) => l.files.set('journal/tile/0/notes.txt', Buffer.from('x')) },
  { name: 'a file beside the journal', do: (l) => l.files.set('notes.txt', Buffer.from('x')) },
  { name: 'a folder beside the journal', do: (l) => l.files.set('extra/notes.txt', Buffer.from('x')) },
  { name: 'a file beside a checkpoint', do: (l) => l.files.set('journal/checkpoint.old', l.bytes(JOURNAL)) },
  { name: 'a tree of a tenant is gone', do: (l) => l.move(folderOf(l.one(TREE)), 'gone') },
  { name: 'all trees are gone', do: (l) => l.remove(/^trees\/.*\/checkpoint$/) },
  {
    name: 'a tree under the name of another tenant',
    do: (l) => l.move(folderOf(l.one(TREE)), `trees/${'0'.repeat(32)}`),
  },
  {
    name: 'a tree of a tenant that has no record',
    do: (l) => {
      for (const path of l.all(new RegExp(`^${folderOf(l.one(TREE))}`)))
        l.files.set(path.replace(/^trees\/[0-9a-f]+/, `trees/${'0'.repeat(32)}`), l.bytes(path));
    },
  },
  {
    name: 'trees of two tenants swapped',
    do: (l) => {
      const [one, other] = [folderOf(l.one(TREE, 0)), folderOf(l.one(TREE, 1))];
      l.move(one, 'swapped');
      l.move(other, one);
      l.move('swapped', other);
    },
  },
  // Segments. The checksums are mended wherever it says nothing else.
  ...[0, 0.5, 1].flatMap((share): Harm[] => {
    const of = (l: Forgery) => l.segments()[Math.floor(share * (l.segments().length - 1))]!;
    const where = ['first', 'middle', 'last'][share * 2]!;
    return [
      { name: `${where} segment: a bit of its magic`, do: (l) => l.flip(of(l), 0) },
      { name: `${where} segment: a bit of its header, not mended`, do: (l) => l.flip(of(l), 20) },
      { name: `${where} segment: a bit in the middle, not mended`, do: (l) => l.flip(of(l), 0.5) },
      { name: `${where} segment: the last bit, not mended`, do: (l) => l.flip(of(l), -1, 0x80) },
      {
        name: `${where} segment: a header that counts otherwise`,
        do: (l) => l.header(of(l), { ...l.headerOf(of(l)), first: l.headerOf(of(l)).first + 1 }),
      },
      {
        name: `${where} segment: a header with another tenant`,
        do: (l) =>
          l.header(of(l), { ...l.headerOf(of(l)), trees: { ...l.headerOf(of(l)).trees, ['0'.repeat(32)]: 1 } }),
      },
      { name: `${where} segment: gone`, do: (l) => void l.files.delete(of(l)) },
      { name: `${where} segment: empty`, do: (l) => l.edit(of(l), () => Buffer.alloc(0)) },
      {
        name: `${where} segment: cut at the edge of its last record`,
        do: (l) => l.edit(of(l), (b) => b.subarray(0, l.frames(of(l)).at(-1)!.start)),
      },
      { name: `${where} segment: cut within its last record`, do: (l) => l.edit(of(l), (b) => b.subarray(0, -3)) },
      {
        name: `${where} segment: bytes behind its last record`,
        do: (l) => l.edit(of(l), (b) => Buffer.concat([b, Buffer.alloc(9)])),
      },
      {
        name: `${where} segment: of another installation`,
        do: (l, m) => l.files.set(of(l), m.other.get(of(l)) ?? Buffer.from('')),
      },
    ];
  }),
  { name: 'two segments swapped', do: (l) => l.swap(l.segments()[0]!, l.segments()[1]!) },
  { name: 'a segment twice', do: (l) => l.files.set(nextSegment(l), l.bytes(l.segments().at(-1)!)) },
  { name: 'a segment too many, empty', do: (l) => l.files.set(nextSegment(l), Buffer.alloc(0)) },
  { name: 'a number left out', do: (l) => l.move(l.segments().at(-1)!, 'segments/00000099.seg') },
  { name: 'a file among the segments', do: (l) => l.files.set('segments/notes.txt', Buffer.from('x')) },
  // Records.
  ...(
    [
      [
        'a bit of a sealed part',
        (frame) => frameOf({ ...frame, parts: [...frame.parts.slice(0, -1), flipped(frame.parts.at(-1)!)] }),
      ],
      [
        'a bit of the sealed meta',
        (frame) => frameOf({ ...frame, parts: [flipped(frame.parts[0]!), ...frame.parts.slice(1)] }),
      ],
      [
        'a sealed part one byte short',
        (frame) => frameOf({ ...frame, parts: [frame.parts[0]!.subarray(1), ...frame.parts.slice(1)] }),
      ],
      ['without its last sealed part', (frame) => frameOf({ ...frame, parts: frame.parts.slice(0, -1) })],
      ['with a sealed part too many', (frame) => frameOf({ ...frame, parts: [...frame.parts, Buffer.from('x')] })],
      ['its sealed parts swapped', (frame) => frameOf({ ...frame, parts: [...frame.parts].reverse() })],
      ['another time', (frame) => frameOf({ ...frame, envelope: otherwise(frame.envelope, /"t_ms":\d/, '"t_ms":9') })],
      [
        'another kind',
        (frame) => frameOf({ ...frame, envelope: otherwise(frame.envelope, /"(intent|outcome)"/, '"refusal"') }),
      ],
      [
        'an envelope with a blank',
        (frame) => frameOf({ ...frame, envelope: otherwise(frame.envelope, /,"v"/, ', "v"') }),
      ],
      ['an envelope that is no JSON', (frame) => frameOf({ ...frame, envelope: frame.envelope.subarray(1) })],
      ['of a tenant that does not exist', (frame) => frameOf({ ...frame, tag: Buffer.alloc(16) })],
      ['another number', (frame) => frameOf({ ...frame, index: frame.index + 1 })],
      ['twice', (frame) => Buffer.concat([frameOf(frame), frameOf(frame)])],
      ['gone', () => Buffer.alloc(0)],
      ['a bit, not mended', (_, bytes) => flipped(bytes)],
      ['another checksum', (_, bytes) => Buffer.from(bytes).fill(bytes[4]! ^ 1, 4, 5)],
      ['a byte behind its parts', (_, bytes) => mendedWithLength(Buffer.concat([bytes, Buffer.alloc(1)]))],
      ['no zero byte before its envelope', (frame, bytes) => withoutZero(bytes, frame.parts.length)],
    ] as const satisfies readonly (readonly [string, Parameters<Forgery['frame']>[2]])[]
  ).map(([what, make]): Harm => ({ name: `a record: ${what}`, do: (l) => l.frame(l.segments()[1]!, 0.5, make) })),
  {
    name: 'two records swapped',
    do: (l) => {
      const [segment, places] = [l.segments()[1]!, l.frames(l.segments()[1]!)];
      const [one, other] = [places[20]!, places[21]!];
      l.edit(segment, (bytes) =>
        Buffer.concat([
          bytes.subarray(0, one.start),
          bytes.subarray(other.start, other.end),
          bytes.subarray(one.start, one.end),
          bytes.subarray(other.end),
        ]),
      );
    },
  },
  {
    name: 'a record from another installation, at its place',
    do: (l, m) => {
      const there = new Forgery(m.other);
      const segment = l.segments()[1]!;
      let theirs: Buffer = Buffer.alloc(0);
      there.frame(segment, 0.5, (_, bytes) => {
        theirs = bytes;
        return bytes;
      });
      l.frame(segment, 0.5, () => theirs);
    },
  },
  { name: 'a record’s sealed part from the record before', do: (l) => takeParts(l) },
  // The whole of it.
  { name: 'all segments of another installation', do: (l, m) => l.take(/^segments\//, m.other) },
  { name: 'all trees of another installation', do: (l, m) => l.take(/^trees\//, m.other) },
  { name: 'the journal of another installation', do: (l, m) => l.take(/^journal\//, m.other) },
  { name: 'everything of another installation of this name', do: (l, m) => l.take(/./, m.other) },
  {
    name: 'every checkpoint signed again with another key',
    do: (l, m) => {
      for (const path of [JOURNAL, ...l.all(TREE)]) resign(l, path, m.stranger);
    },
  },
  { name: 'segments rolled back, trees not', do: (l, m) => l.take(/^segments\//, m.older) },
  { name: 'trees rolled back, the rest not', do: (l, m) => l.take(/^trees\//, m.older) },
  { name: 'trees and journal rolled back, what tenants have is gone', do: (l) => l.remove(/^trees\/.*tile/) },
  { name: 'everything rolled back', do: (l, m) => l.take(/./, m.older), kept: true },
];

/** What is no harm: both must accept it, or the corpus would show nothing. */
export const HARMLESS: readonly Harm[] = [
  { name: 'the log as it is', do: () => undefined },
  { name: 'the log as it was half-way', do: (l, m) => l.take(/./, m.older) },
  { name: 'the journal signed before the trees', do: (l, m) => l.files.set(JOURNAL, m.older.get(JOURNAL)!) },
  {
    name: 'a cosigned checkpoint, by a witness nobody here knows',
    do: (l, m) => l.files.set('journal/cosigned', Buffer.from(cosigned(m.older.get(JOURNAL)!.toString(), m))),
  },
  {
    name: 'a record that is not signed yet',
    do: (l) => {
      const segment = l.segments().at(-1)!;
      const last = l.frames(segment).at(-1)!;
      l.edit(segment, (bytes) => {
        const again = Buffer.from(bytes.subarray(last.start, last.end));
        again.writeUInt32LE(last.index + 1, 12);
        return Buffer.concat([bytes, mended(again)]);
      });
    },
  },
  {
    name: 'a second signature, by an unknown key',
    do: (l) => l.text(JOURNAL, (t) => `${t}— else ${Buffer.alloc(68, 7).toString('base64')}\n`),
  },
];

function cosigned(note: string, { witness }: Means): string {
  return note + cosign(textOf(note), witness, 1_790_000_000);
}

export function signerOf(key: { privateKey: KeyObject; publicKey: KeyObject }, name = 'test') {
  return (text: string) => signNote(text, { name, ...key });
}

/** Another character in the middle of a line. */
function spoilLine(text: string, line: number): string {
  const lines = text.split('\n');
  const at = lines[line]!.length - 20;
  const other = lines[line]![at] === 'A' ? 'B' : 'A';
  lines[line] = lines[line]!.slice(0, at) + other + lines[line]!.slice(at + 1);
  return lines.join('\n');
}

function nextSegment(log: Forgery): string {
  return `segments/${String(log.segments().length + 1).padStart(8, '0')}.seg`;
}

function otherwise(envelope: Buffer, pattern: RegExp, by: string): Buffer {
  const text = envelope.toString();
  if (!pattern.test(text)) throw new Error(`${pattern} is not in ${text}`);
  return Buffer.from(text.replace(pattern, by));
}

function mendedWithLength(frame: Buffer): Buffer {
  frame.writeUInt32LE(frame.length - 12, 8);
  return mended(frame);
}

function withoutZero(frame: Buffer, parts: number): Buffer {
  frame[12 + 27 + 4 * parts] = 1;
  return mended(frame);
}

function takeParts(log: Forgery): void {
  const segment = log.segments()[1]!;
  const taken: (readonly Buffer[])[] = [];
  log.frame(segment, 0.4, (frame) => {
    taken.push(frame.parts.map((part) => Buffer.from(part)));
    return frameOf(frame);
  });
  log.frame(segment, 0.5, (frame) => frameOf({ ...frame, parts: taken[0]! }));
}
