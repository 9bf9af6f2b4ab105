import type { Call, CallWith, Head, Now, Principal } from '../../core/call.ts';
import type { Refusal, Stage } from '../../core/stage.ts';
import { isToken, REFUSED_AUTHORIZATION, readBearer } from './bearer.ts';
import { judgeClaims, readClaims } from './claims.ts';
import { type Compact, readCompact, readObject, signatureHolds } from './compact.ts';
import type { KeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';
import { makePrincipal, readPrincipal } from './principal.ts';
import { type AuthenticationRefusal, refuse } from './refusals.ts';
import type { AuthenticationSettings, IssuerSettings } from './settings.ts';
import { TokenCache, tokenDigest, type Verified } from './token-cache.ts';

export type AuthenticationStage = Stage<'endpoint' | 'door', 'principal'>;

export interface TrustedIssuer {
  readonly settings: IssuerSettings;
  readonly keys: KeySource;
}

/** What a token turned out to be: a principal to remember, or a refusal. */
type Judged = Verified | { readonly code: AuthenticationRefusal; readonly evidence: string };

/** Principal from a JWT bearer token. A token seen before answers at once; only a new one waits for its signature. */
export function jwtStage(options: {
  issuers: readonly TrustedIssuer[];
  cache: AuthenticationSettings['cache'];
}): AuthenticationStage & { readonly remembered: TokenCache; verified(call: Call): boolean } {
  const issuers = new Map(options.issuers.map((trusted) => [trusted.settings.issuer, trusted]));
  const cache = new TokenCache(options.cache.entries);
  const rememberMs = options.cache.seconds * 1000;

  function admit(call: Call, verified: Verified): Principal | Refusal {
    if (verified.certificate === null || verified.certificate === call.head.certificate) return verified.principal;
    return refuse('authentication.invalid', 'bound to another client certificate');
  }

  async function judgeNow(
    call: CallWith<'endpoint'>,
    token: string,
    digest: string,
    now: Now,
  ): Promise<Principal | Refusal> {
    const { resource } = call.endpoint;
    const judged = await judge(token, resource, { issuers, rememberMs }, now);
    if ('code' in judged) return refuse(judged.code, judged.evidence);
    cache.set(resource, digest, judged);
    return admit(call, judged);
  }

  return {
    name: 'authentication',
    leaves: 'principal',
    remembered: cache,
    verified(call) {
      const token = readBearer(call.head.rawHeaders);
      if (typeof token !== 'string' || call.endpoint === undefined) return false;
      const known = cache.peek(call.endpoint.resource, tokenDigest(token));
      if (known === undefined || known.set !== known.keys.latest) return false;
      return known.certificate === null || known.certificate === call.head.certificate;
    },
    run(call: CallWith<'endpoint' | 'door'>, now: Now) {
      const token = readBearer(call.head.rawHeaders);
      if (token === null) return refuse('authentication.missing', 'no Authorization header');
      if (typeof token !== 'string') return refuse('authentication.invalid', token.refused);
      const { resource } = call.endpoint;
      const digest = tokenDigest(token);
      const known = cache.get(resource, digest);
      if (known === undefined) {
        if (!isToken(token)) return refuse('authentication.invalid', REFUSED_AUTHORIZATION.characters.refused);
        return judgeNow(call, token, digest, now);
      }
      if (now.utc >= known.untilUtc || now.mono >= known.untilMono || known.set !== known.keys.latest) {
        cache.delete(resource, digest);
        return judgeNow(call, token, digest, now);
      }
      if (now.mono < known.keys.freshUntil) return admit(call, known);
      // The keys want to be looked at; unless they changed, the signature need not be checked again.
      const keys = known.keys.current(now);
      const again = (set: KeySet | null) =>
        set === known.set ? admit(call, known) : judgeNow(call, token, digest, now);
      return keys instanceof Promise ? keys.then(again) : again(keys);
    },
  };
}

/** Judges a token from nothing. The order is fixed: shape, issuer, algorithm, type, key, signature, and only then claims. */
async function judge(
  text: string,
  resource: string,
  trust: { issuers: ReadonlyMap<string, TrustedIssuer>; rememberMs: number },
  now: Now,
): Promise<Judged> {
  const invalid = (evidence: string): Judged => ({ code: 'authentication.invalid', evidence });
  const token = readCompact(text);
  if (typeof token === 'string') return invalid(token);
  const all = readObject(token.payload);
  if (all === null) return invalid('payload is not a JSON object');
  const claims = readClaims(all);
  if ('code' in claims) return claims;
  const issuer = trust.issuers.get(claims.iss);
  if (issuer === undefined) return invalid('iss is not a configured issuer');
  const { settings, keys } = issuer;
  if (!settings.algorithms.includes(token.alg)) return invalid('algorithm not allowed for this issuer');
  if (!typeAllowed(token, settings)) return invalid('typ');

  const set = await keysFor(token, keys, now);
  if (set === null) return { code: 'authentication.unavailable', evidence: 'keys of the issuer cannot be had' };
  if (!(await signatureHolds(token, set.find(token.alg, token.kid)))) return invalid('signature, or no such key');
  const principal = readPrincipal(claims, settings);
  if (typeof principal === 'string') return invalid(`claim: ${principal}`);
  const fault = judgeClaims(claims, settings, resource, now.utc);
  if (fault !== null) return fault;
  return {
    principal,
    certificate: claims.certificate,
    keys,
    // The set that verified, not the latest: keys may have changed while the signature was checked.
    set,
    untilUtc: (claims.exp + settings.leewaySeconds) * 1000,
    untilMono: now.mono + trust.rememberMs,
  };
}

function typeAllowed(token: Compact, settings: IssuerSettings): boolean {
  if (token.typ === null) return settings.typ.includes('absent');
  return settings.typ.some((type) => type.toLowerCase() === token.typ && type !== 'absent');
}

/** The key set to verify with, looked at again when it does not know the key. */
async function keysFor(token: Compact, keys: KeySource, now: Now): Promise<KeySet | null> {
  const set = await keys.current(now);
  return set === null || set.find(token.alg, token.kid).length > 0 ? set : keys.lookAgain(now);
}

/** One principal for everybody. A request that brings a credential all the same is refused: it may not end as nobody. */
export function anonymousStage(settings: AuthenticationSettings): AuthenticationStage {
  const nobody = makePrincipal({
    issuer: 'anonymous',
    subject: 'anonymous',
    client: '',
    tenant: 'default',
    scopes: [...new Set(settings.anonymousScopes)].sort(),
    groups: [],
    proof: 'none',
    actors: [],
    expiresAt: Number.MAX_SAFE_INTEGER,
  });
  const carries = (head: Head) => readBearer(head.rawHeaders) !== null;
  return {
    name: 'authentication',
    leaves: 'principal',
    run: (call) =>
      carries(call.head) ? refuse('authentication.invalid', 'a credential was sent, but none is checked here') : nobody,
  };
}
