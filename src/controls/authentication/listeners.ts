import { SettingsError } from '../../core/internal-error.ts';
import type { AuthenticationSettings } from './settings.ts';

/** Whether a host name or address can only be reached from this machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || name === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(name);
}

/**
 * Refuses a start that would serve strangers without real authentication (threats.md AUTH-04).
 * @param hosts hosts the listeners bind to, as configured
 * @throws SettingsError
 */
export function checkListeners(settings: AuthenticationSettings, hosts: readonly string[]): void {
  if (settings.driver !== 'anonymous' && !settings.development) return;
  const beyond = hosts.find((host) => !isLoopback(host));
  if (beyond === undefined) return;
  const why =
    settings.driver === 'anonymous' ? 'authentication.driver is anonymous' : 'authentication.development is on';
  throw new SettingsError(
    `${why}, so every listener must be on loopback; change listen ${beyond || '(all addresses)'}`,
  );
}

/** What makes this control weak, in words for `check`, console and records; empty when nothing does. */
export function weaknesses(settings: AuthenticationSettings): string[] {
  const weak: string[] = [];
  if (settings.driver === 'anonymous') weak.push('authentication: everybody is let in as one anonymous principal');
  if (settings.development) weak.push('authentication: development issuer, no passwords');
  for (const issuer of settings.issuers) {
    if (issuer.audiences.length > 0) weak.push('authentication: an issuer may name audiences besides this resource');
    if (issuer.typ.includes('absent')) weak.push('authentication: an issuer may leave out the token type');
  }
  return weak;
}
