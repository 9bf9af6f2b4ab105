import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import type { Packages } from './packages.ts';

export const REVISIONS = ['2026-07-28', '2025-11-25'] as const;
export type Revision = (typeof REVISIONS)[number];

/** One check of a scenario that is not as it should be; the suite fails a scenario for a warning too. */
export interface Broken {
  readonly id: string;
  readonly status: 'FAILURE' | 'WARNING';
  readonly why: string;
}

export interface Scenario {
  readonly name: string;
  /** Counts for conformance with the revision; the others are run and reported. */
  readonly required: boolean;
  readonly checks: number;
  readonly broken: readonly Broken[];
  /** Checks the suite left out, as what they are about was not offered: passed over, not passed. */
  readonly skipped?: readonly string[];
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}
interface Requirements {
  readonly server: readonly string[];
  readonly not_scored: readonly { readonly scenario: string; readonly leg: string }[];
}

const SCENARIO_MS = 20_000;
const SUITE_MS = 280_000;

/**
 * Runs the server scenarios of a revision against a URL.
 * @throws when the suite does not come to its end or leaves a scenario out
 */
export async function runSuite(of: {
  readonly packages: Packages;
  readonly url: string;
  readonly revision: Revision;
  /** Only these; all of the revision when left out. */
  readonly only?: readonly string[] | undefined;
}): Promise<readonly Scenario[]> {
  const { packages, url, revision, only } = of;
  const out = mkdtempSync(join(tmpdir(), 'gatewrit-conformance-out-'));
  const args = ['server', '--url', url, '-o', out, '--timeout', String(SCENARIO_MS)];
  try {
    let said = '';
    if (!only) said = await conformance(packages, [...args, '--requirements', revision]);
    // Forced: scenarios of an extension belong to no revision.
    for (const name of only ?? [])
      said += await conformance(packages, [...args, '--scenario', name, '--spec-version', revision, '--force']);
    const { required, all } = requirements(packages, revision);
    const folders = readdirSync(out);
    return (only ?? all).map((name) => {
      const checks = read(out, folders, name);
      if (checks === null) throw new Error(`the suite left ${name} out:\n${said}`);
      return {
        name,
        required: required.has(name),
        checks: checks.length,
        broken: brokenOf(checks),
        skipped: skippedOf(checks),
      };
    });
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Names of the scenarios of a revision: what counts, and everything that is run. */
export function requirements({ folder }: Packages, revision: Revision) {
  const file = join(folder, 'node_modules/@modelcontextprotocol/conformance/requirements', `${revision}.yaml`);
  const { server, not_scored } = parse(readFileSync(file, 'utf8')) as Requirements;
  const others = not_scored.filter(({ leg }) => leg === 'server').map(({ scenario }) => scenario);
  return { required: new Set(server), all: [...server, ...others] };
}

/** Null when there is no result of this scenario; its folder bears its name and a date. */
function read(out: string, folders: readonly string[], name: string): readonly Check[] | null {
  const mine = new RegExp(`^server-${name}-\\d{4}-\\d\\d-\\d\\dT[\\d-]+Z$`);
  const folder = folders.find((candidate) => mine.test(candidate));
  return folder ? (JSON.parse(readFileSync(join(out, folder, 'checks.json'), 'utf8')) as Check[]) : null;
}

function brokenOf(checks: readonly Check[]): readonly Broken[] {
  return checks.flatMap(({ id, status, errorMessage }) =>
    status === 'FAILURE' || status === 'WARNING' ? [{ id, status, why: errorMessage ?? '' }] : [],
  );
}

function skippedOf(checks: readonly Check[]): readonly string[] {
  return checks.filter(({ status }) => status === 'SKIPPED').map(({ id }) => id);
}

/** What the suite says; 1 is no fault of the run but a scenario that fails. @throws Error when it ends otherwise */
export function conformance({ folder }: Packages, args: readonly string[]): Promise<string> {
  const main = join(folder, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` },
    timeout: SUITE_MS,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk).slice(-20_000);
    });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      // 1 is what it says when a scenario fails; which one, its files tell.
      if (code === 0 || code === 1) resolve(said);
      else reject(new Error(`the suite ended with ${code ?? signal}:\n${said}`));
    });
  });
}
