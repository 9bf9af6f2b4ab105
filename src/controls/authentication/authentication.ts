import { isAbsolute, resolve } from 'node:path';
import type { Call } from '../../core/call.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { openKeyFile } from './drivers/key-file.ts';
import { type FetchKeys, keyFetcher, openKeyUrl } from './drivers/key-url.ts';
import type { KeySource } from './key-source.ts';
import { isLoopback } from './listeners.ts';
import type { AuthenticationSettings, IssuerSettings } from './settings.ts';
import { type AuthenticationStage, anonymousStage, jwtStage, type TrustedIssuer } from './stages.ts';

export interface Authentication {
  readonly stage: AuthenticationStage;
  /**
   * Whether exactly this credential was verified before at this endpoint and still stands: a hint for the back-off,
   * which lets such a call through to be judged. Never more than a hint; the stage judges.
   */
  verified(call: Call): boolean;
  /** Ends fetches under way. */
  close(): Promise<void>;
}

/**
 * Opens the control: checks the issuers, reads key files. Keys behind URLs are fetched when first needed.
 * @param options.home folder at which relative `file:` paths start
 * @param options.fetchKeys how to get an issuer's keys; undici unless given
 * @throws SettingsError when nobody could get in, or anybody could
 */
export async function openAuthentication(options: {
  settings: AuthenticationSettings;
  home: string;
  fetchKeys?: FetchKeys;
}): Promise<Authentication> {
  const { settings, home } = options;
  if (settings.driver === 'anonymous') {
    return { stage: anonymousStage(settings), verified: () => false, close: async () => undefined };
  }
  checkIssuers(settings);
  const fetcher = options.fetchKeys ? null : keyFetcher();
  const fetchKeys = options.fetchKeys ?? fetcher!.fetchKeys;
  const trusted: TrustedIssuer[] = [];
  const close = async () => {
    // Ending the connections first ends a fetch under way; waiting for it afterwards is short.
    await fetcher?.close();
    await Promise.all(trusted.map((issuer) => issuer.keys.close()));
  };
  try {
    for (const issuer of settings.issuers) {
      trusted.push({ settings: issuer, keys: await openKeys(issuer, { settings, home, fetchKeys }) });
    }
  } catch (cause) {
    await close();
    throw cause;
  }
  const stage = jwtStage({ issuers: trusted, cache: settings.cache });
  return { stage, verified: stage.verified, close };
}

async function openKeys(
  issuer: IssuerSettings,
  from: { settings: AuthenticationSettings; home: string; fetchKeys: FetchKeys },
): Promise<KeySource> {
  if (!issuer.jwks.startsWith('file:')) {
    const { algorithms } = issuer;
    return openKeyUrl(issuer.jwks, { algorithms, bounds: from.settings.jwks, fetchKeys: from.fetchKeys });
  }
  const path = issuer.jwks.slice('file:'.length);
  return openKeyFile(isAbsolute(path) ? path : resolve(from.home, path), issuer.algorithms, from.settings.jwks);
}

function checkIssuers(settings: AuthenticationSettings): void {
  const { issuers, development } = settings;
  if (issuers.length === 0) {
    throw new SettingsError(
      'authentication.issuers is empty, so nobody could sign in; name an issuer, or set authentication.development: true',
    );
  }
  if (development && issuers.length > 1) {
    throw new SettingsError('authentication.development allows no second issuer; remove the others or switch it off');
  }
  for (const [index, issuer] of issuers.entries()) {
    const place = `authentication.issuers.${index}`;
    checkUrl(`${place}.issuer`, issuer.issuer, development);
    if (!issuer.jwks.startsWith('file:')) checkUrl(`${place}.jwks`, issuer.jwks, development);
    if (issuer.tenant !== undefined && issuer.claims.tenant !== undefined) {
      throw new SettingsError(`${place}: set tenant (fixed) or claims.tenant (from the token), not both`);
    }
    if (issuers.findIndex((other) => other.issuer === issuer.issuer) !== index) {
      throw new SettingsError(`${place}.issuer: this issuer is configured twice`);
    }
  }
}

/** https; in development also http on loopback. */
function checkUrl(place: string, text: string, development: boolean): void {
  const url = URL.parse(text);
  const plain = development && url?.protocol === 'http:' && isLoopback(url.hostname);
  if (url === null || (url.protocol !== 'https:' && !plain) || url.username !== '' || url.hash !== '') {
    throw new SettingsError(`${place}: must be an https URL without user or fragment`);
  }
}
