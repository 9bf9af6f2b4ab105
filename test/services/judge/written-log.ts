import { createHash } from 'node:crypto';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fixture, readyCall, runCall } from '../../../src/controls/audit/audit-kit.test.ts';
import { openSigningKeys } from '../../../src/core/crypto/keys.ts';
import type { NoteSigner } from '../../../src/core/crypto/signed-note.ts';

/** The files of one replica, by path below its folder. */
export type LogFiles = Map<string, Buffer>;

/** A log written by the gateway's own code: calls of several tenants, small and large, in several segments. */
export interface WrittenLog {
  /** `<home>/audit/node-1` */
  readonly replica: string;
  /** `<home>/keys/audit.pub` */
  readonly key: string;
  readonly signer: NoteSigner;
  readonly records: number;
  /** As it stood when half of it was written, signed. */
  readonly older: LogFiles;
  remove(): void;
}

export interface LogShape {
  readonly calls: number;
  readonly tenants: number;
  readonly segmentBytes: number;
  /** How many calls wait for the disk together. */
  readonly together: number;
  /** Every so many calls the trees are signed. */
  readonly signedEvery: number;
}

const LARGE_BYTES = 12_000;
const LARGE_EVERY = 40;

export async function writeLog({ calls, tenants, segmentBytes, together, signedEvery }: LogShape): Promise<WrittenLog> {
  const log = fixture();
  const replica = join(log.home, 'audit/node-1');
  const audit = await log.open({}, { segmentBytes });
  let older: LogFiles = new Map();
  let signed = 0;
  for (let done = 0; done < calls; done += together) {
    log.clock.utc += 3;
    log.clock.mono += 3;
    const one = (i: number) => {
      const argument = i % LARGE_EVERY === 7 ? textOf(i, LARGE_BYTES) : textOf(i, 60 + (i % 900));
      const call = readyCall(log.clock, { tenant: `tenant-${i % tenants}`, subject: `subject-${i % 17}`, argument });
      return runCall(audit, call, log.clock);
    };
    await Promise.all(Array.from({ length: Math.min(together, calls - done) }, (_, i) => one(done + i)));
    if (done - signed < signedEvery) continue;
    signed = done;
    await audit.checkpoint();
    if (older.size === 0 && done >= calls / 2) older = readFiles(replica);
  }
  await audit.record({ kind: 'operation', tenant: 'tenant-0', meta: { operation: 'last' } });
  await audit.close();
  const signer = {
    name: 'test',
    ...openSigningKeys({ folder: join(log.home, 'keys'), generate: false }, 'checkpoint')[0],
  };
  return {
    replica,
    key: join(log.home, 'keys/audit.pub'),
    signer,
    records: audit.stats().index,
    older,
    remove: () => log.remove(),
  };
}

/** Does not compress, and is the same in every run. */
function textOf(seed: number, length: number): string {
  let text = '';
  for (let i = 0; text.length < length; i++) text += createHash('sha256').update(`${seed} ${i}`).digest('hex');
  return text.slice(0, length);
}

export function readFiles(folder: string): LogFiles {
  const files: LogFiles = new Map();
  for (const path of globSync(join(folder, '**/*')).sort())
    if (statSync(path).isFile()) files.set(path.slice(folder.length + 1), readFileSync(path));
  return files;
}

/** Lays a log out where a judge can read it, in place of what was there. */
export function layOut(files: LogFiles, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
}

/** A folder that is gone at the end of `use`. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-judged-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
