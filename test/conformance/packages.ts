import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * The suite, the SDK's older generation and the Inspector are no dependencies of the product: they are installed by the
 * runs that need them, from the lock file beside this one, into a folder of the cache that bears its digest.
 */
const INSTALL_MS = 300_000;
const FILES = ['package.json', 'package-lock.json', '.npmrc'];
const cache = join(homedir(), '.cache/gatewrit-services');

export interface Packages {
  /** Folder that holds `node_modules`. */
  readonly folder: string;
  /** Why they cannot be had; null when they are there. */
  readonly missing: string | null;
}

export function conformancePackages(): Packages {
  return installedPackages('conformance', import.meta.dirname);
}

/** @param from folder with the three files; @param name beginning of the folder in the cache */
export function installedPackages(name: string, from: string): Packages {
  const lock = readFileSync(join(from, 'package-lock.json'));
  const digest = createHash('sha256').update(lock).digest('hex').slice(0, 16);
  const folder = join(cache, `${name}-${digest}`);
  if (existsSync(folder)) return { folder, missing: null };
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const making = mkdtempSync(`${folder}-`);
  try {
    for (const file of FILES) copyFileSync(join(from, file), join(making, file));
    const started = Date.now();
    const missing = install(making);
    if (missing !== null) return { folder, missing };
    // Whole or not at all: a run that is cut off leaves no half an installation behind.
    if (!existsSync(folder)) renameSync(making, folder);
    process.stderr.write(`installed the ${name} packages in ${Math.round((Date.now() - started) / 1000)} s\n`);
    return { folder, missing: null };
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function install(cwd: string): string | null {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle)/.test(name)),
  );
  const { status, stdout, stderr, error } = spawnSync('npm', ['ci', '--ignore-scripts', '--loglevel=error'], {
    cwd,
    env: { ...env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` },
    encoding: 'utf8',
    timeout: INSTALL_MS,
  });
  if (status === 0) return null;
  return `npm ci failed: ${error?.message ?? `${stderr}${stdout}`.trim().split('\n').slice(-3).join(' / ')}`;
}
