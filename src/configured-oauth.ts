import type { UpstreamSettings } from './configuration.ts';
import type { Now } from './core/call.ts';
import { type KeyFolder, openSymmetricKeys } from './core/crypto/keys.ts';
import { credentialIn } from './core/crypto/sample-secrets.ts';
import type { Log } from './core/log.ts';
import { openSecret } from './core/settings.ts';
import type { Store } from './core/store/store.ts';
import {
  GuardedHttp,
  OAuthCredential,
  type OAuthPlan,
  type OAuthSettings,
  type Person,
  sealedCredentials,
  type Unattended,
} from './upstream/oauth/index.ts';

export interface OAuthSurroundings {
  readonly store: Store;
  readonly keys: KeyFolder;
  readonly clock: () => Now;
  readonly log: Log;
  /** Who is at a browser; null for a gateway that serves. */
  readonly person: Person | null;
  /** Resolves a path of the settings file. */
  readonly path: (relative: string) => string;
}

export interface OpenedCredential {
  readonly credential: OAuthCredential;
  close(): Promise<void>;
}

/**
 * The credential an upstream's settings ask for; null: they ask for none.
 * @throws SettingsError when a secret or a key is missing
 */
export function openUpstreamCredential(
  name: string,
  settings: UpstreamSettings,
  around: OAuthSurroundings,
): OpenedCredential | null {
  if (!('http' in settings) || !settings.http.oauth) return null;
  const { url, oauth } = settings.http;
  const ca = oauth.ca ?? settings.http.ca;
  const named = [url, oauth.issuer, oauth.identityProvider?.issuer].filter((one) => one !== undefined);
  const http = new GuardedHttp({
    reach: oauth.reach,
    named: named.map((one) => new URL(one).origin),
    ...(ca === undefined ? {} : { ca: around.path(ca) }),
  });
  const keys = openSymmetricKeys(around.keys, 'upstream-credentials');
  const credential = new OAuthCredential(planOf(name, url, oauth), {
    http,
    store: sealedCredentials(around.store, keys, name, () => around.clock().utc),
    clock: around.clock,
    log: around.log,
    person: around.person,
  });
  return { credential, close: () => http.close() };
}

function planOf(name: string, endpoint: string, settings: OAuthSettings): OAuthPlan {
  const { issuer, clientId, clientSecret, clientKey, clientKeyAlgorithm, clientKeyId, clientMetadataUrl } = settings;
  const key = clientKey ? { pem: text(clientKey), alg: clientKeyAlgorithm, kid: clientKeyId ?? null } : null;
  return {
    name,
    endpoint,
    issuer: issuer ?? null,
    client: clientId ? { id: clientId, secret: clientSecret ? credentialIn(clientSecret) : null, key } : null,
    clientMetadataUrl: clientMetadataUrl ?? null,
    clientName: 'Gatewrit',
    scopes: settings.scopes ?? null,
    dpop: settings.dpop,
    unattended: unattendedOf(settings),
  };
}

function unattendedOf({ grant, assertion, identityProvider }: OAuthSettings): Unattended | null {
  if (grant === 'authorization_code') return null;
  const provider = identityProvider && {
    issuer: identityProvider.issuer,
    clientId: identityProvider.clientId,
    clientSecret: identityProvider.clientSecret ? credentialIn(identityProvider.clientSecret) : null,
  };
  return { kind: grant, assertion: assertion ? () => text(assertion) : null, identityProvider: provider ?? null };
}

/** Files end in a line break that is no part of the secret. */
function text(reference: string): string {
  return openSecret(reference).toString('utf8').trim();
}
