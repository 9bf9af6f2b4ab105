import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readKept, readVerifiers, type VerifyFinding, verifyLog } from '../../../src/controls/audit/index.ts';
import { debian, find, lastLines, skipped } from '../install.ts';

/** The judge in Go, built anew for each test file; `missing` says why there is none. */
export const judge = join(mkdtempSync(join(tmpdir(), 'gatewrit-judge-')), 'judge');

export function buildJudge(): string | null {
  const none = find('go') ? null : debian('go', 'golang-go');
  if (none !== null) return none;
  try {
    execFileSync('go', ['build', '-o', judge, '.'], {
      cwd: import.meta.dirname,
      env: { ...process.env, GOFLAGS: '-mod=readonly' },
      timeout: 300_000,
      stdio: 'pipe',
    });
    return null;
  } catch (error) {
    return skipped('the judge in Go', `it could not be built: ${lastLines(error)}`);
  }
}

export interface Judgement {
  readonly accepted: boolean;
  readonly said: string;
}

/** @param kept checkpoint files from before. @throws Error when it neither accepts nor refuses */
export function judged(replica: string, key: string, kept: readonly string[] = []): Judgement {
  const { status, stdout, stderr } = spawnSync(judge, [replica, key, ...kept], { encoding: 'utf8', timeout: 120_000 });
  const said = (stdout + stderr).trim();
  if (status !== 0 && status !== 1) throw new Error(`the judge ended with ${status}: ${said}`);
  return { accepted: status === 0, said };
}

/** What our own verifier says of the same log. */
export async function ours(replica: string, key: string, kept: readonly string[] = []): Promise<VerifyFinding[]> {
  const verifiers = readVerifiers(key);
  const reports = await verifyLog(replica, verifiers, { kept: kept.map((path) => readKept(path, verifiers)) });
  return reports.flatMap(({ findings }) => findings);
}
