import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Gets what a test of real services needs, from the package registries that the machine's own clients know. Each
 * function answers `null` when it is there, or the reason why it cannot be had, said loudly: a skipped test must not
 * look like a passed one.
 */
const PACKAGE_LIST_MS = 6 * 60 * 60 * 1000;
const INSTALL_MS = 300_000;
/** Programs that take minutes to build are kept for the next run. */
const cache = join(homedir(), '.cache/gatewrit-services');

/** The first file that one of the patterns names, or a program on PATH. */
export function find(...patterns: readonly string[]): string | null {
  for (const pattern of patterns) {
    if (pattern.includes('/')) {
      // Versions sort to the end: the newest wins.
      const found = globSync(pattern).sort().at(-1);
      if (found) return found;
    } else {
      const { stdout, status } = spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', pattern], { encoding: 'utf8' });
      if (status === 0) return stdout.trim();
    }
  }
  return null;
}

/** @param present a program or file that shows the packages to be installed, as `find` takes it */
export function debian(present: string, ...packages: readonly string[]): string | null {
  if (find(present)) return null;
  const reason = installDebian(packages) ?? (find(present) ? null : `${packages} came without ${present}`);
  return reason === null ? null : skipped(packages.join(' '), reason);
}

function installDebian(packages: readonly string[]): string | null {
  if (!find('apt-get')) return 'there is no apt-get here';
  if (process.getuid?.() !== 0) return `not root: run "apt-get install ${packages.join(' ')}" once`;
  // RUNLEVEL=1: no service of a package is started by its installation; tests start their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', ...args], {
      env,
      encoding: 'utf8',
      timeout: INSTALL_MS,
    });
  const lists = '/var/cache/apt/pkgcache.bin';
  if (!existsSync(lists) || Date.now() - statSync(lists).mtimeMs > PACKAGE_LIST_MS) apt('update');
  const started = Date.now();
  let done = apt('install', '--no-install-recommends', ...packages);
  if (done.status !== 0) {
    // The lists may be older than what the archive still holds.
    apt('update');
    done = apt('install', '--no-install-recommends', ...packages);
  }
  if (done.status !== 0)
    return `apt-get failed: ${`${done.stdout}${done.stderr}`.trim().split('\n').slice(-3).join(' / ')}`;
  console.log(`installed ${packages.join(' ')} in ${Math.round((Date.now() - started) / 1000)} s`);
  return null;
}

/**
 * Builds a program with the Go toolchain on PATH.
 * @param program module path with version, e.g. `example.com/tool/cmd/tool@v1.2.3`
 */
export function goProgram(program: string): { readonly path: string; readonly missing: string | null } {
  const [module = '', version = ''] = program.split('@');
  const folder = join(cache, `${module.replaceAll('/', '_')}@${version}`);
  const path = join(folder, module.split('/').at(-1)!);
  if (existsSync(path)) return { path, missing: null };
  if (!find('go')) return { path, missing: skipped(program, 'there is no Go toolchain on PATH') };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const started = Date.now();
  try {
    execFileSync('go', ['install', program], {
      env: { ...process.env, GOBIN: folder },
      timeout: INSTALL_MS,
      stdio: 'pipe',
    });
  } catch (error) {
    return { path, missing: skipped(program, `go install failed: ${lastLines(error)}`) };
  }
  console.log(`built ${program} in ${Math.round((Date.now() - started) / 1000)} s`);
  return { path, missing: null };
}

/** Says loudly what is not tested and why; the value is the reason, for node:test's `skip`. */
export function skipped(what: string, reason: string): string {
  console.log(`\n!!! ${what} is not to be had, its tests are SKIPPED: ${reason}\n`);
  return reason;
}

export function lastLines(error: unknown): string {
  const { stderr, message } = error as { stderr?: Buffer | string; message: string };
  return (stderr?.toString() || message).trim().split('\n').slice(-3).join(' / ');
}
