import { createPrivateKey, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import { faultIn, OAuthFault } from './fault.ts';
import type { GuardedHttp } from './guarded-http.ts';

/** How this gateway proves itself at a token endpoint. */
export const CLIENT_METHODS = ['private_key_jwt', 'client_secret_basic', 'client_secret_post', 'none'] as const;
export type ClientMethod = (typeof CLIENT_METHODS)[number];

/** What goes out: a workload's assertion may speak for itself, then nothing else is sent. */
type SentMethod = ClientMethod | 'unidentified';

/** A private key registered with an authorization server; PKCS #8 PEM. */
export interface ClientKey {
  readonly pem: string;
  readonly alg: string;
  readonly kid: string | null;
}

/** Who we are at one issuer. Made there, or told by the operator for it: never shown to another. */
export interface OAuthClient {
  readonly id: string;
  readonly secret: string | null;
  readonly key: ClientKey | null;
  /** What registration settled; null: choose from what the server supports. */
  readonly method: SentMethod | null;
}

/** A client without a name: its grant says who it is. */
export const UNIDENTIFIED: OAuthClient = { id: 'unidentified', secret: null, key: null, method: 'unidentified' };

/** The strongest method that both sides can; a secret nobody asked for is not sent. */
export function chooseMethod(server: oauth.AuthorizationServer, client: OAuthClient): SentMethod | OAuthFault {
  if (client.method !== null) return client.method;
  const able: readonly ClientMethod[] = [
    ...(client.key ? (['private_key_jwt'] as const) : []),
    ...(client.secret !== null ? (['client_secret_basic', 'client_secret_post'] as const) : []),
  ];
  const supported = server.token_endpoint_auth_methods_supported;
  // RFC 8414: absent means client_secret_basic; a public client has nothing to send there.
  if (supported === undefined) return able[0] ?? 'none';
  const both = [...able, 'none' as const].find((method) => supported.includes(method));
  return both ?? new OAuthFault('no_client', 'the authorization server takes no client authentication we can give');
}

const ASSERTION_SECONDS = 60;

/** The same as oauth4webapi's `ClientAuth`. @param utc ms */
export function clientAuthentication(method: SentMethod, client: OAuthClient, utc: number): oauth.ClientAuth {
  switch (method) {
    case 'unidentified':
      return () => {};
    case 'none':
      return oauth.None();
    case 'client_secret_post':
      return oauth.ClientSecretPost(client.secret ?? '');
    case 'client_secret_basic':
      return (_server, _client, _body, headers) => {
        headers.set('authorization', basic(client.id, client.secret ?? ''));
      };
    case 'private_key_jwt':
      return async (server, _client, body) => {
        body.set('client_id', client.id);
        body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
        body.set('client_assertion', await assertion(client, server.issuer, utc));
      };
  }
}

/**
 * Id and secret in the form encoding of RFC 6749 2.3.1 as every form sends it: oauth4webapi escapes `-`, `.` and `_` too,
 * which servers that compare without decoding do not take.
 */
function basic(id: string, secret: string): string {
  const form = (text: string) => new URLSearchParams([['', text]]).toString().slice(1);
  return `Basic ${Buffer.from(`${form(id)}:${form(secret)}`).toString('base64')}`;
}

/** RFC 7523 2.2; the audience is the issuer alone, so that no other server can replay it (draft-ietf-oauth-rfc7523bis). */
function assertion(client: OAuthClient, issuer: string, utc: number): Promise<string> {
  if (client.key === null) throw new TypeError('private_key_jwt needs a key');
  const { pem, alg, kid } = client.key;
  const seconds = Math.floor(utc / 1000);
  return new SignJWT()
    .setProtectedHeader({ alg, ...(kid === null ? {} : { kid }) })
    .setIssuer(client.id)
    .setSubject(client.id)
    .setAudience(issuer)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + ASSERTION_SECONDS)
    .setJti(randomUUID())
    .sign(createPrivateKey(pem));
}

/** A registration as it is kept, per issuer. */
export interface Registration {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | null;
  readonly method: ClientMethod | null;
  readonly redirectUri: string;
  /** ms UTC when the secret ends; null: it does not. */
  readonly expiresAt: number | null;
}

/** What we say of ourselves at registration (RFC 7591), and what a client metadata document holds. */
export function clientMetadata(redirectUri: string, name: string, method: ClientMethod) {
  return {
    client_name: name,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: method,
    // A loopback redirect is that of a native application (SEP-837).
    application_type: isLoopback(redirectUri) ? 'native' : 'web',
  };
}

function isLoopback(uri: string): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(new URL(uri).hostname);
}

/** Registers this gateway at an authorization server that lets anybody do so. */
export async function register(
  http: GuardedHttp,
  server: oauth.AuthorizationServer,
  redirectUri: string,
  name: string,
): Promise<Registration | OAuthFault> {
  if (server.registration_endpoint === undefined)
    return new OAuthFault('no_client', 'the authorization server registers nobody: settings need clientId');
  const supported = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  const wished = CLIENT_METHODS.find((method) => method !== 'private_key_jwt' && supported.includes(method)) ?? 'none';
  let response: Response;
  let json: unknown;
  try {
    response = await http.fetch(server.registration_endpoint, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(clientMetadata(redirectUri, name, wished)),
    });
    json = await response.json();
  } catch (error) {
    return faultIn(error) ?? new OAuthFault('registration', 'registration: the answer is no JSON');
  }
  // RFC 7591 says 201; many answer 200.
  return response.ok
    ? judgeRegistration(json, server.issuer, redirectUri)
    : new OAuthFault('registration', `registration: HTTP ${response.status}`);
}

/**
 * What counts of a registration. oauth4webapi would refuse a secret without `client_secret_expires_at`, which most
 * servers leave out.
 */
export function judgeRegistration(json: unknown, issuer: string, redirectUri: string): Registration | OAuthFault {
  const answer = (typeof json === 'object' && json !== null ? json : {}) as Readonly<Record<string, unknown>>;
  const { client_id: id, client_secret: secret, token_endpoint_auth_method: method } = answer;
  const ends = answer['client_secret_expires_at'];
  if (typeof id !== 'string' || id === '' || (secret !== undefined && typeof secret !== 'string'))
    return new OAuthFault('registration', 'registration gave no client id');
  const known = CLIENT_METHODS.find((one) => one === method) ?? null;
  if ((method !== undefined && known === null) || known === 'private_key_jwt')
    return new OAuthFault('registration', 'registration settled a client authentication we do not have');
  return {
    issuer,
    clientId: id,
    clientSecret: secret ?? null,
    method: known,
    redirectUri,
    expiresAt: typeof ends === 'number' && ends > 0 ? ends * 1000 : null,
  };
}

const ERROR_WORD = /^[a-z_]{1,64}$/;

/** What an endpoint refused, in one word of a protocol; descriptions are text of strangers and stay out. */
export function endpointFault(error: unknown, code: OAuthFault['code'], what: string): OAuthFault {
  const known = faultIn(error);
  if (known) return known;
  if (error instanceof oauth.ResponseBodyError) {
    const word = ERROR_WORD.test(error.error) ? error.error : 'an error';
    return new OAuthFault(code, `${what}: HTTP ${error.status} ${word}`);
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError)
    return new OAuthFault(code, `${what}: HTTP ${error.status}`);
  if (error instanceof oauth.AuthorizationResponseError) {
    const word = ERROR_WORD.test(error.error) ? error.error : 'an error';
    return new OAuthFault(code, `${what}: ${word}`);
  }
  if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError)
    return new OAuthFault(code, `${what}: ${error.code ?? 'malformed'}`);
  throw error;
}
