import { crc32c } from '../../../src/controls/audit/format/crc32c.ts';
import { type Frame, frameLength, readFrame, writeFrame } from '../../../src/controls/audit/format/frame.ts';
import { encodeHeader } from '../../../src/controls/audit/format/segments.ts';
import { type FramePlace, framesOf } from '../../../src/controls/audit/verifier/sweep-kit.test.ts';
import { decodeBundle, encodeBundle } from '../../../src/core/crypto/tiles.ts';
import type { LogFiles } from './written-log.ts';

/** A log in the hands of somebody who knows the format and mends every checksum, but has no key. */
export class Forgery {
  readonly files: LogFiles;

  constructor(files: LogFiles) {
    this.files = new Map(files);
  }

  /** Paths that match, in order. */
  all(pattern: RegExp): string[] {
    return [...this.files.keys()].filter((path) => pattern.test(path)).sort();
  }

  /** One path that matches: the first, or with a fraction one farther on. @throws Error when none does */
  one(pattern: RegExp, at = 0): string {
    const all = this.all(pattern);
    const path = all[Math.floor(at * (all.length - 1))];
    if (path === undefined) throw new Error(`the log has no ${pattern}`);
    return path;
  }

  bytes(path: string): Buffer {
    return this.files.get(path)!;
  }

  flip(path: string, at: number, bit = 1): void {
    this.edit(path, (bytes) => {
      bytes[at < 0 ? bytes.length + at : Math.floor(at < 1 ? at * bytes.length : at)]! ^= bit;
    });
  }

  /** @param change of a copy, in place or as another one */
  edit(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
    const copy = Buffer.from(this.bytes(path));
    this.files.set(path, change(copy) ?? copy);
  }

  swap(one: string, other: string): void {
    const [first, second] = [this.bytes(one), this.bytes(other)];
    this.files.set(one, second).set(other, first);
  }

  move(from: string, to: string): void {
    for (const path of this.all(new RegExp(`^${from}`))) {
      this.files.set(to + path.slice(from.length), this.bytes(path));
      this.files.delete(path);
    }
  }

  remove(pattern: RegExp): void {
    const all = this.all(pattern);
    if (all.length === 0) throw new Error(`the log has no ${pattern}`);
    for (const path of all) this.files.delete(path);
  }

  /** Replaces what matches by what another log has there. */
  take(pattern: RegExp, from: LogFiles): void {
    this.remove(pattern);
    for (const [path, bytes] of from) if (pattern.test(path)) this.files.set(path, bytes);
  }

  /** Changes the text of a file; what is signed there then does not hold any more. */
  text(path: string, change: (text: string) => string): void {
    this.files.set(path, Buffer.from(change(this.bytes(path).toString())));
  }

  /** Swaps two members of a bundle or does something else to its entries; lengths are mended. */
  entries(path: string, change: (entries: Buffer[]) => void): void {
    const entries = decodeBundle(this.bytes(path))!;
    change(entries);
    this.files.set(path, encodeBundle(entries));
  }

  segments(): string[] {
    return this.all(/^segments\//);
  }

  frames(segment: string): FramePlace[] {
    return framesOf(this.bytes(segment));
  }

  /** Replaces the frame in the middle of a segment, or one farther to its `share`, by what `make` gives. */
  frame(segment: string, share: number, make: (frame: Frame, bytes: Buffer) => Buffer): void {
    const places = this.frames(segment);
    const { start, end } = places[Math.min(places.length - 1, Math.floor(share * places.length))]!;
    this.edit(segment, (bytes) => {
      const fresh = make(readFrame(bytes, start)!, Buffer.from(bytes.subarray(start, end)));
      return Buffer.concat([bytes.subarray(0, start), fresh, bytes.subarray(end)]);
    });
  }

  /** Another header, with its checksum. */
  header(segment: string, header: Parameters<typeof encodeHeader>[0]): void {
    const { start } = this.frames(segment)[0]!;
    this.edit(segment, (bytes) => Buffer.concat([encodeHeader(header), bytes.subarray(start)]));
  }

  headerOf(segment: string): { segment: number; first: number; trees: Record<string, number> } {
    return JSON.parse(this.bytes(segment).subarray(16, this.frames(segment)[0]!.start).toString()) as ReturnType<
      Forgery['headerOf']
    >;
  }
}

/** A frame with a right checksum. */
export function frameOf(frame: Pick<Frame, 'index' | 'tag' | 'envelope' | 'parts'>): Buffer {
  const { index, tag, envelope, parts } = frame;
  const source = {
    envelopeLength: envelope.length,
    partLengths: parts.map((part) => part.length),
    writeInto: (into: Buffer, at: number) => void Buffer.concat([envelope, ...parts]).copy(into, at),
  };
  const bytes = Buffer.alloc(frameLength(source));
  writeFrame(bytes, 0, index, tag, source);
  return bytes;
}

/** The same frame with a checksum that holds. */
export function mended(frame: Buffer): Buffer {
  frame.writeUInt32LE(crc32c(frame, 8, frame.length), 4);
  return frame;
}
