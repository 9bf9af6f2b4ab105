import { fileURLToPath } from 'node:url';
import { SettingsError } from '../../../core/internal-error.ts';

/** Path of a script of this folder that runs as its own process: source in a checkout, compiled when installed. */
export function childScript(name: string): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(`./${name}${extension}`, import.meta.url));
}

/** What the processes of this folder import, and a gateway in production never does: not installed with it. */
const PACKAGES = ['@peculiar/x509', 'oidc-provider', 'reflect-metadata'] as const;

/** @throws SettingsError when development mode was asked for where its packages are not */
export function requireDevelopmentPackages(): void {
  const missing = PACKAGES.filter((name) => !isInstalled(name));
  if (missing.length > 0)
    throw new SettingsError(
      `development mode needs packages that a gateway in production does not: npm install --save-dev ${missing.join(' ')}. Without them set authentication.issuers and transport.tls, and authentication.development to false (docs/guides/production.md)`,
    );
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Environment of such a process: none of ours, which may hold secrets, but what it takes to run. */
export function childEnvironment(more: Record<string, string> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ...more };
}
