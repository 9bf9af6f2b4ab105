import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InternalError } from '../../../core/internal-error.ts';
import { childEnvironment, childScript, requireDevelopmentPackages } from './child-script.ts';

/** A leaf with less left than this is renewed at the next start. */
const RENEW_MS = 30 * 86_400_000;

/** Paths of PEM files. `ca` is what clients must trust (`NODE_EXTRA_CA_CERTS`); `cert` and `key` serve `localhost`. */
export interface DevelopmentCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes the development CA and a leaf for localhost, 127.0.0.1 and ::1 under `<home>/keys` where they are missing,
 * broken or close to their end; a good CA is kept, so that people trust it once.
 * @throws SettingsError when the packages for it are not installed
 * @throws InternalError `authentication.development_ca` when the process that makes them fails
 */
export async function ensureDevelopmentCertificates(home: string): Promise<DevelopmentCertificates> {
  requireDevelopmentPackages();
  const folder = join(home, 'keys');
  const paths = { ca: join(folder, 'ca.pem'), cert: join(folder, 'tls.pem'), key: join(folder, 'tls.key') };
  if (stillGood(paths, Date.now())) return paths;
  const script = childScript('certificate-authority');
  await new Promise<void>((done, fail) => {
    execFile(
      process.execPath,
      [script, folder],
      { env: childEnvironment(), timeout: 30_000 },
      (cause, _, complaint) => {
        if (!cause) return done();
        const said = complaint.trim().split('\n').slice(-5).join(' ');
        fail(
          new InternalError(
            'authentication.development_ca',
            `the development certificates could not be made: ${said}`,
            {
              kind: 'outage',
              cause,
            },
          ),
        );
      },
    );
  });
  return paths;
}

/** Whether the leaf belongs to the CA and the key, serves localhost and lives long enough. */
export function stillGood(paths: DevelopmentCertificates, utc: number): boolean {
  try {
    const ca = new X509Certificate(readFileSync(paths.ca));
    const leaf = new X509Certificate(readFileSync(paths.cert));
    return (
      leaf.validToDate.getTime() > utc + RENEW_MS &&
      leaf.validFromDate.getTime() <= utc &&
      leaf.checkHost('localhost') !== undefined &&
      leaf.checkIssued(ca) &&
      leaf.verify(ca.publicKey) &&
      leaf.checkPrivateKey(createPrivateKey(readFileSync(paths.key)))
    );
  } catch {
    return false; // Missing or unreadable: they are made anew.
  }
}
