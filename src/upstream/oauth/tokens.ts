import * as oauth from 'oauth4webapi';
import { chooseMethod, clientAuthentication, endpointFault, type OAuthClient } from './client.ts';
import { type ProofKey, proof } from './dpop.ts';
import { OAuthFault } from './fault.ts';
import type { GuardedHttp } from './guarded-http.ts';

/** An access token and what belongs to it, as it is kept. */
export interface Tokens {
  readonly access: string;
  readonly type: 'bearer' | 'dpop';
  /** ms UTC from when a new one is asked for, shortly before it ends; null: the server did not say. */
  readonly renewAt: number | null;
  readonly refresh: string | null;
  /** The key the token is bound to; null for a bearer token. */
  readonly proofKey: ProofKey | null;
}

/** Everything one request at a token endpoint needs. */
export interface TokenRequest {
  readonly http: GuardedHttp;
  readonly server: oauth.AuthorizationServer;
  readonly client: OAuthClient;
  /** Bind the token to this key; null: a bearer token. */
  readonly proofKey: ProofKey | null;
  /** ms UTC */
  readonly utc: number;
}

export const GRANTS = {
  refresh: 'refresh_token',
  clientCredentials: 'client_credentials',
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const;

const HEADER_SAFE = /^[\x21-\x7e]+$/;

/** One grant at the token endpoint. `code` is for what went before with the person at the browser. */
export async function requestTokens(
  request: TokenRequest,
  grant: string,
  parameters: Readonly<Record<string, string>>,
): Promise<Tokens | OAuthFault> {
  const answer = await ask(request, (client, authentication, options) =>
    oauth
      .genericTokenEndpointRequest(request.server, client, authentication, grant, parameters, options)
      .then((response) => oauth.processGenericTokenEndpointResponse(request.server, client, response)),
  );
  return answer instanceof OAuthFault ? answer : tokensOf(answer, request, parameters['refresh_token'] ?? null);
}

/** Exchanges the code of a validated authorization response; the verifier proves that we asked for it. */
export async function redeemCode(
  request: TokenRequest,
  code: { readonly response: URLSearchParams; readonly redirectUri: string; readonly verifier: string },
  parameters: Readonly<Record<string, string>>,
): Promise<Tokens | OAuthFault> {
  const answer = await ask(request, (client, authentication, options) =>
    oauth
      .authorizationCodeGrantRequest(
        request.server,
        client,
        authentication,
        code.response,
        code.redirectUri,
        code.verifier,
        { ...options, additionalParameters: parameters },
      )
      .then((response) => oauth.processAuthorizationCodeResponse(request.server, client, response)),
  );
  return answer instanceof OAuthFault ? answer : tokensOf(answer, request, null);
}

/**
 * The assertion an identity provider gives for an authorization server it has an agreement with (ID-JAG, SEP-990).
 */
export async function exchangeForAssertion(
  request: TokenRequest,
  parameters: Readonly<Record<string, string>>,
): Promise<string | OAuthFault> {
  const answer = await ask(request, (client, authentication, options) =>
    oauth
      .genericTokenEndpointRequest(request.server, client, authentication, GRANTS.tokenExchange, parameters, options)
      .then((response) =>
        oauth.processGenericTokenEndpointResponse(request.server, client, response, {
          recognizedTokenTypes: { n_a: () => {} },
        }),
      ),
  );
  return answer instanceof OAuthFault ? answer : answer.access_token;
}

type Options = oauth.TokenEndpointRequestOptions;

/** The request, once more where the server wants a nonce in the proof (RFC 9449 8). */
async function ask<T>(
  request: TokenRequest,
  send: (client: oauth.Client, authentication: oauth.ClientAuth, options: Options) => Promise<T>,
): Promise<T | OAuthFault> {
  const { http, server, client, proofKey, utc } = request;
  const endpoint = server.token_endpoint;
  if (endpoint === undefined) return new OAuthFault('metadata', 'the authorization server has no token endpoint');
  const method = chooseMethod(server, client);
  if (method instanceof OAuthFault) return method;
  const authentication = clientAuthentication(method, client, utc);
  let nonce: string | null = null;
  for (let attempt = 0; ; attempt++) {
    let offered: string | null = null;
    const headers: Record<string, string> = proofKey
      ? { dpop: await proof(proofKey, { method: 'POST', url: endpoint, token: null, nonce }, utc) }
      : {};
    const options: Options = {
      headers,
      [oauth.customFetch]: async (url: string, init: Parameters<GuardedHttp['fetch']>[1]) => {
        const response = await http.fetch(url, init);
        offered = response.headers.get('dpop-nonce');
        return response;
      },
      // The guard judges every URL itself, more strictly.
      [oauth.allowInsecureRequests]: true,
    };
    try {
      return await send({ client_id: client.id }, authentication, options);
    } catch (error) {
      const wantsNonce = error instanceof oauth.ResponseBodyError && error.error === 'use_dpop_nonce';
      if (wantsNonce && proofKey && offered !== null && attempt === 0) {
        nonce = offered;
        continue;
      }
      return endpointFault(error, 'token_refused', 'token endpoint');
    }
  }
}

function tokensOf(
  answer: oauth.TokenEndpointResponse,
  request: TokenRequest,
  refreshed: string | null,
): Tokens | OAuthFault {
  const type: string = answer.token_type;
  if (type !== 'bearer' && type !== 'dpop') return new OAuthFault('token_refused', 'a token of a type we do not use');
  // A bearer token where a bound one was asked for is a downgrade somebody else decided on.
  if ((type === 'dpop') !== (request.proofKey !== null))
    return new OAuthFault('token_unbound', 'the token is not bound to our key, or to one we did not show');
  if (!HEADER_SAFE.test(answer.access_token)) return new OAuthFault('token_refused', 'the token is no header value');
  return {
    access: answer.access_token,
    type,
    renewAt: answer.expires_in === undefined ? null : request.utc + lasting(answer.expires_in) * 1000,
    refresh: answer.refresh_token ?? refreshed,
    proofKey: request.proofKey,
  };
}

/** A token must not end on the way: 30 s before, or a fifth of a short life. */
function lasting(seconds: number): number {
  return seconds - Math.min(30, seconds / 5);
}
