import { mkdirSync } from 'node:fs';
import { systemFiles } from '../../src/controls/audit/journal/files.ts';
import { type Book, Journal } from '../../src/controls/audit/journal/journal.ts';
import { PayloadBytes } from '../../src/controls/audit/record/payload.ts';
import { PlainText } from '../../src/controls/audit/record/plaintext.ts';
import { Draft, PartPlaces } from '../../src/controls/audit/record/record.ts';
import { sha256Into } from '../../src/core/crypto/digest.ts';
import { sealKey } from '../../src/core/crypto/envelope.ts';
import { uuidv7 } from '../../src/core/ids.ts';

/** About as long as what the log says of a call beside its arguments or its answer. */
const META = new PlainText(JSON.stringify({ meta: '-'.repeat(600) }));
const KID = 'bench';

/** Takes bytes into a durable record, then goes on. */
export type Recorder = (bytes: Buffer, then: () => void) => void;

/**
 * The two records of a call as the format asks for them (audit.md 3.1 to 3.3), and nothing else of the log or of any
 * other control: two parts each, sealed under keys that are at hand, one leaf hash, written and synced in groups.
 * No tree, no signature, no index; what stands in `meta` is always the same.
 */
export function openRecords(folder: string): Recorder {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const places = new PartPlaces('bench/00000000000000000000000000000000/node-1');
  const [metaKey, payloadKey] = [sealKey(Buffer.alloc(32, 1)), sealKey(Buffer.alloc(32, 2))];
  const book: Book = { tag: Buffer.alloc(16), name: '00'.repeat(16), durable: 0 };
  const leafHash = Buffer.alloc(32);
  const fail = (error: unknown): never => {
    throw error;
  };
  const journal = new Journal<Book>({
    files: systemFiles,
    folder,
    segment: 0,
    first: 0,
    bytes: 0,
    segmentBytes: 2 ** 30,
    segmentMs: 86_400_000,
    mono: () => performance.now(),
    books: () => [book],
    onSegment() {},
    onCommitted(group) {
      for (const { leafAt, leafLength } of group.records)
        sha256Into(group.bytes.subarray(leafAt, leafAt + leafLength), leafHash, 0);
      group.release();
    },
    onFatal: fail,
    onTakenBack: () => fail(new Error('the disk is full')),
    lastWords: () => fail(new Error('the disk is full')),
    hasRoom: () => Promise.resolve(false),
    onReopened() {},
  });
  return (bytes, then) => {
    const time = Date.now();
    const payload = new PayloadBytes([['arguments', bytes]]);
    const draft = new Draft(places, uuidv7(time), { kind: 'intent', time, refs: [] }, [
      { name: 'meta', kid: KID, key: metaKey, plaintext: META },
      { name: 'payload', kid: KID, key: payloadKey, plaintext: payload },
    ]);
    journal.append(book, draft, (error) => (error ? fail(error) : then()));
  };
}
