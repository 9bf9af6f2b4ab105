import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseTilePath, TILE_WIDTH } from '../../../core/crypto/tiles.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { readFrame } from '../format/frame.ts';
import type { LogSource } from './source.ts';
import { readVerifiers } from './verify-log.ts';

/** For tests that harm a log: the files of a replica in memory, and which record each of their bytes belongs to. */
export type LogFiles = Map<string, Buffer>;

export interface Swept {
  readonly log: Fixture;
  readonly verifiers: ReturnType<typeof readVerifiers>;
  readonly files: LogFiles;
  /** What the verifier must say first of a change of this byte. */
  expected(file: string, byte: number): number | null;
}

/** A log of several tenants and segments, signed at several sizes: whole and partial tiles of two levels. */
export async function sweptLog(records: number, segmentBytes: number): Promise<Swept> {
  const log = fixture();
  const audit = await log.open({}, { segmentBytes });
  const calls = records / 2;
  for (let done = 0; done < calls; ) {
    const count = Math.min(done === 0 ? 7 : Math.ceil(calls / 6), calls - done);
    const one = (i: number) => runCall(audit, readyCall(log.clock, { tenant: `tenant-${i % 3}` }), log.clock);
    await Promise.all(Array.from({ length: count }, (_, i) => one(done + i)));
    await audit.checkpoint();
    done += count;
  }
  await audit.close();
  const replica = join(log.home, 'audit/node-1');
  const files: LogFiles = new Map();
  for (const path of globSync(join(replica, '**/*')).sort())
    if (statSync(path).isFile()) files.set(path.slice(replica.length + 1), readFileSync(path));
  const verifiers = readVerifiers(join(log.home, 'keys/audit.pub'));
  return { log, verifiers, files, expected: expectedOf(files) };
}

/** A source that can be harmed without a disk. `lists` false: as a web server, it cannot say what it has. */
export function memorySource(files: LogFiles, lists = true): LogSource {
  return {
    name: 'memory/node-1',
    async list(path) {
      const below = path === '' ? '' : `${path}/`;
      const names = [...files.keys()].filter((name) => name.startsWith(below)).map((name) => name.slice(below.length));
      return lists ? [...new Set(names.map((name) => name.replace(/\/.*/s, '/')))] : null;
    },
    size: async (path) => files.get(path)?.length ?? null,
    async read(path, from, to) {
      const bytes = files.get(path);
      return bytes ? Buffer.from(bytes.subarray(from, to)) : null;
    },
  };
}

export interface FramePlace {
  readonly start: number;
  readonly end: number;
  readonly index: number;
  readonly tag: string;
}

/** Where each record of a segment stands. */
export function framesOf(bytes: Buffer): FramePlace[] {
  const frames: FramePlace[] = [];
  for (let at = bytes.indexOf('GWR1'); at >= 0 && at < bytes.length; ) {
    const frame = readFrame(bytes, at)!;
    frames.push({ start: at, end: at + frame.length, index: frame.index, tag: frame.tag.toString('hex') });
    at += frame.length;
  }
  return frames;
}

function expectedOf(files: LogFiles): Swept['expected'] {
  const segments = new Map<string, FramePlace[]>();
  /** Of each tree, the journal index of every leaf. */
  const leaves = new Map<string, number[]>([['journal', []]]);
  for (const [file, bytes] of files) {
    if (!file.endsWith('.seg')) continue;
    const frames = framesOf(bytes);
    segments.set(file, frames);
    for (const { index, tag } of frames) {
      const tree = `trees/${tag}`;
      if (!leaves.has(tree)) leaves.set(tree, []);
      leaves.get(tree)!.push(index);
      leaves.get('journal')!.push(index);
    }
  }
  return (file, byte) => {
    const frames = segments.get(file);
    if (frames) return (frames.find(({ end }) => byte < end) ?? frames.at(-1)!).index;
    // Without it no record is proven; of a tenant's tree, the journal's still proves each.
    if (file === 'journal/checkpoint') return 0;
    const [tree, path] = [file.replace(/\/tile\/.*/s, ''), file.replace(/^.*?(tile\/)/s, '$1')];
    const tile = parseTilePath(path);
    if (!tile) return null;
    const slot = tile.level === 'entries' ? entryAt(files.get(file)!, byte) : Math.floor(byte / 32);
    const span = tile.level === 'entries' ? 1 : TILE_WIDTH ** tile.level;
    return leaves.get(tree)![(tile.index * TILE_WIDTH + slot) * span]!;
  };
}

/** Which entry of a bundle a byte belongs to. */
function entryAt(bundle: Buffer, byte: number): number {
  let slot = 0;
  for (let at = 0; ; slot++) {
    at += 2 + bundle.readUInt16BE(at);
    if (byte < at) return slot;
  }
}
