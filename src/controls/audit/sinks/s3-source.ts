import type { LogSource } from '../verifier/source.ts';
import { VerifierError } from '../verifier/verifier-error.ts';
import type { ObjectVersion, VersionedBucket } from './bucket.ts';
import { openBucket } from './drivers/aws-s3.ts';
import { numberIn } from './object-names.ts';

/** Something in the bucket that hides, or would hide, what was written first. */
export interface BucketFinding {
  /** From the root of the log: `<replica>/…` */
  readonly file: string;
  readonly what: string;
}

export interface BucketLog extends LogSource {
  /** Asked when everything was read. */
  findings(): readonly BucketFinding[];
  close(): void;
}

/** More findings than these say nothing new. */
const MOST_FINDINGS = 100;
/** Folders whose listings are kept: a tree is read from a few at a time. */
const KEPT_LISTINGS = 64;

interface Piece {
  readonly name: string;
  readonly version: string;
  readonly from: number;
  readonly to: number;
}

/**
 * The log that lies at `s3://bucket/prefix`, with credentials as the AWS SDK finds them.
 * @throws VerifierError `unreadable` when the address is none; SettingsError when the SDK is not installed
 */
export async function openS3Log(
  url: string,
  {
    endpoint,
    region = process.env['AWS_REGION'] ?? 'us-east-1',
  }: { endpoint?: string | undefined; region?: string | undefined } = {},
): Promise<BucketLog> {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/?$/.exec(url);
  if (!match) throw new VerifierError('unreadable', `${url} is not s3://BUCKET/PREFIX`);
  return new BucketSource(url, await openBucket({ bucket: match[1]!, region, endpoint }), match[2] ?? '');
}

/**
 * A bucket as a log folder. Locks are per version, so that a later version or a delete marker can hide what nobody can
 * delete (audit.md 3.6): the oldest version of each name is the log, and whatever else there is, is a finding.
 */
export class BucketSource implements BucketLog {
  readonly name: string;
  readonly #bucket: VersionedBucket;
  readonly #prefix: string;
  readonly #listings = new Map<string, Promise<Listing>>();
  readonly #findings = new Map<string, BucketFinding>();
  #segment: { path: string; pieces: Promise<readonly Piece[]> } | null = null;

  constructor(name: string, bucket: VersionedBucket, prefix: string) {
    this.name = name;
    this.#bucket = bucket;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  async list(path: string): Promise<readonly string[]> {
    const parent = parentOf(path);
    // A folder that its own folder does not name needs no request.
    if (this.#listings.has(parent) && path !== '' && !(await this.#listing(parent)).folders.has(lastOf(path)))
      return [];
    const { files, folders } = await this.#listing(path);
    const names = [...files.keys()];
    for (const folder of folders) {
      if (!isOneFile(path, folder)) names.push(`${folder}/`);
      else if (files.has(folder))
        this.#report(`${path}/${folder}`, 'an object has the name of what lies in pieces below it');
      else names.push(folder);
    }
    return names;
  }

  async size(path: string): Promise<number | null> {
    if (isOneFile(parentOf(path), lastOf(path))) return (await this.#piecesOf(path)).at(-1)?.to ?? null;
    return (await this.#listing(parentOf(path))).files.get(lastOf(path))?.size ?? null;
  }

  async read(path: string, from: number, to: number): Promise<Buffer | null> {
    if (isOneFile(parentOf(path), lastOf(path))) {
      const pieces = await this.#piecesOf(path);
      if (pieces.length === 0) return null;
      const parts = pieces.filter((piece) => piece.from < to && piece.to > from);
      return Buffer.concat(
        await Promise.all(
          parts.map(({ name, version, from: begin, to: end }) =>
            this.#get(name, version, Math.max(from, begin) - begin, Math.min(to, end) - begin),
          ),
        ),
      );
    }
    const found = (await this.#listing(parentOf(path))).files.get(lastOf(path));
    return found ? this.#get(found.name, found.version, from, Math.min(to, found.size)) : null;
  }

  findings(): readonly BucketFinding[] {
    return [...this.#findings.values()];
  }

  close(): void {
    this.#bucket.close();
  }

  async #get(name: string, version: string, from: number, to: number): Promise<Buffer> {
    try {
      return await this.#bucket.getVersion(name, version, from, to);
    } catch (cause) {
      throw unreachable(this.name, cause);
    }
  }

  #listing(path: string): Promise<Listing> {
    const known = this.#listings.get(path);
    if (known) return known;
    if (this.#listings.size >= KEPT_LISTINGS) this.#listings.delete(this.#listings.keys().next().value!);
    const listing = this.#list(path);
    this.#listings.set(path, listing);
    return listing;
  }

  async #list(path: string): Promise<Listing> {
    const prefix = this.#under(path);
    const files = new Map<string, ObjectVersion>();
    const folders = new Set<string>();
    for await (const page of this.#pages(prefix, true)) {
      for (const folder of page.folders) folders.add(folder.slice(prefix.length, -1));
      for (const version of page.versions) this.#take(files, version, version.name.slice(prefix.length));
    }
    this.#reportGone(files, path);
    return { files: new Map([...files].filter(([, { marker }]) => !marker)), folders };
  }

  /** Of the versions of one name the oldest stays; they come newest first, delete markers apart from the others. */
  #take(files: Map<string, ObjectVersion>, version: ObjectVersion, name: string): void {
    const other = files.get(name);
    if (version.marker) {
      this.#report(version.name.slice(this.#prefix.length), `a delete marker of ${timeOf(version)} hides it`);
      if (!other) files.set(name, version);
      return;
    }
    if (other && !other.marker) {
      const later = other.at >= version.at ? other : version;
      const what = `a later version, ${later.version} of ${timeOf(later)}, overwrites it`;
      this.#report(version.name.slice(this.#prefix.length), what);
      files.set(name, later === other ? version : other);
    } else files.set(name, version);
  }

  #reportGone(files: ReadonlyMap<string, ObjectVersion>, path: string): void {
    for (const [name, { marker }] of files) {
      if (marker) this.#report(path === '' ? name : `${path}/${name}`, 'only a delete marker is left of it');
    }
  }

  /** A file that lies in several objects: a segment in its pieces, a checkpoint in the newest of its kind. */
  #piecesOf(path: string): Promise<readonly Piece[]> {
    if (this.#segment?.path !== path) {
      const pieces = path.endsWith('.seg') ? this.#segmentPieces(path) : this.#newest(path);
      this.#segment = { path, pieces };
    }
    return this.#segment.pieces;
  }

  async #segmentPieces(path: string): Promise<readonly Piece[]> {
    const { files, folders } = await this.#listing(path);
    for (const name of folders) this.#report(`${path}/${name}`, 'it does not belong to the log');
    const pieces: Piece[] = [];
    let end = 0;
    for (const [name, { name: key, version, size }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (numberIn(name) === end) pieces.push({ name: key, version, from: end, to: end + size });
      else
        this.#report(
          `${path}/${name}`,
          `it does not follow: a piece is missing at byte ${end}, or this one is not ours`,
        );
      end = pieces.at(-1)?.to ?? 0;
    }
    return pieces;
  }

  /** There may be one for each minute of years: of each page, which come in order, the last names are kept. */
  async #newest(path: string): Promise<readonly Piece[]> {
    const prefix = this.#under(path);
    let files = new Map<string, ObjectVersion>();
    for await (const page of this.#pages(prefix, false)) {
      for (const version of page.versions) {
        const name = version.name.slice(prefix.length);
        if (numberIn(name) !== null) this.#take(files, version, name);
        else this.#report(version.name.slice(this.#prefix.length), 'it does not belong to the log');
      }
      const names = [...files.keys()].sort();
      const newest = names.findLast((name) => !files.get(name)!.marker);
      const kept = new Set([newest, names.at(-1)]);
      this.#reportGone(new Map([...files].filter(([name]) => !kept.has(name))), path);
      files = new Map([...files].filter(([name]) => kept.has(name)));
    }
    this.#reportGone(files, path);
    const newest = [...files.values()].find(({ marker }) => !marker);
    return newest ? [{ name: newest.name, version: newest.version, from: 0, to: newest.size }] : [];
  }

  async *#pages(prefix: string, flat: boolean) {
    try {
      yield* this.#bucket.versions(prefix, flat);
    } catch (cause) {
      throw unreachable(this.name, cause);
    }
  }

  #under(path: string): string {
    return `${this.#prefix}${path === '' ? '' : `${path}/`}`;
  }

  #report(file: string, what: string): void {
    if (this.#findings.size < MOST_FINDINGS) this.#findings.set(`${file}\n${what}`, { file, what });
  }
}

interface Listing {
  readonly files: ReadonlyMap<string, ObjectVersion>;
  readonly folders: ReadonlySet<string>;
}

/** What is a file in a log folder and a folder of objects in a bucket. */
function isOneFile(folder: string, name: string): boolean {
  if (/^[0-9]{8}\.seg$/.test(name)) return lastOf(folder) === 'segments';
  return (name === 'checkpoint' || name === 'cosigned') && /(^|\/)(journal|[0-9a-f]{32})$/.test(folder);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function timeOf({ at }: ObjectVersion): string {
  return new Date(at).toISOString();
}

function unreachable(name: string, cause: unknown): VerifierError {
  return new VerifierError('unreachable', `${name}: ${(cause as Error).message}`, cause);
}
