import { createHash, randomBytes } from 'node:crypto';
import * as oauth from 'oauth4webapi';
import { endpointFault } from './client.ts';
import { OAuthFault } from './fault.ts';
import { placeOf } from './guarded-http.ts';
import { redeemCode, type TokenRequest, type Tokens } from './tokens.ts';

/** A person at a browser: opens the page, and comes back to `redirectUri` with the answer. */
export interface Person {
  readonly redirectUri: string;
  /** @returns the whole URL the browser was sent back to. Rejects when nobody came. */
  open(url: string): Promise<string>;
}

/**
 * Authorization code with PKCE (RFC 7636), bound to this browser by `state`, to this authorization server by `iss`
 * (RFC 9207, compared character by character), to this upstream by `resource` (RFC 8707).
 */
export async function signIn(
  person: Person,
  request: TokenRequest,
  asked: { readonly resource: string; readonly scopes: readonly string[] },
): Promise<Tokens | OAuthFault> {
  const { server, client } = request;
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const page = URL.parse(server.authorization_endpoint ?? '');
  // A browser opens it: a scheme that another program answers must never get there.
  if (page === null || !(page.protocol === 'https:' || (page.protocol === 'http:' && isThisMachine(page))))
    return new OAuthFault('metadata', `${placeOf(server.issuer)} names no page to sign in at`);
  const parameters = {
    response_type: 'code',
    client_id: client.id,
    redirect_uri: person.redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state,
    resource: asked.resource,
    ...(asked.scopes.length > 0 ? { scope: asked.scopes.join(' ') } : {}),
    // OpenID Connect gives offline_access only with a consent that was shown.
    ...(asked.scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
  };
  for (const [name, value] of Object.entries(parameters)) page.searchParams.set(name, value);
  const callback = URL.parse(await person.open(page.href));
  const expected = new URL(person.redirectUri);
  if (callback === null || callback.origin !== expected.origin || callback.pathname !== expected.pathname)
    return new OAuthFault('callback', 'the browser came back to another place');
  let response: URLSearchParams;
  try {
    response = oauth.validateAuthResponse(server, { client_id: client.id }, callback, state);
  } catch (error) {
    return endpointFault(error, 'callback', 'answer of the sign-in page');
  }
  return redeemCode(request, { response, redirectUri: person.redirectUri, verifier }, { resource: asked.resource });
}

function isThisMachine(url: URL): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
}
