import { discoverServer } from './discovery.ts';
import { OAuthFault } from './fault.ts';
import type { GrantKind } from './settings.ts';
import { exchangeForAssertion, GRANTS, requestTokens, type TokenRequest, type Tokens } from './tokens.ts';

/** The identity provider of an enterprise, which vouches for a subject to other authorization servers (SEP-990). */
export interface IdentityProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | null;
}

export interface Unattended {
  readonly kind: Exclude<GrantKind, 'authorization_code'>;
  /** The workload's JWT or the subject's ID token, read anew for each use: whoever gives it out renews it. */
  readonly assertion: (() => string) | null;
  readonly identityProvider: IdentityProvider | null;
}

/** A token without a person. One attempt: a refused assertion is not sent again in another form. */
export async function unattended(
  grant: Unattended,
  request: TokenRequest,
  asked: { readonly resource: string; readonly scopes: readonly string[] },
): Promise<Tokens | OAuthFault> {
  const common = {
    resource: asked.resource,
    ...(asked.scopes.length > 0 ? { scope: asked.scopes.join(' ') } : {}),
  };
  if (grant.kind === 'client_credentials') return requestTokens(request, GRANTS.clientCredentials, common);
  const subject = grant.assertion?.() ?? null;
  if (subject === null) return new OAuthFault('settings', `grant "${grant.kind}" needs an assertion`);
  if (grant.kind === 'workload') return requestTokens(request, GRANTS.jwtBearer, { ...common, assertion: subject });
  const assertion = await vouchedFor(grant.identityProvider, subject, request, common);
  if (assertion instanceof OAuthFault) return assertion;
  return requestTokens(request, GRANTS.jwtBearer, { ...common, assertion });
}

/** Token exchange (RFC 8693) at the identity provider: an ID token for an assertion made for one authorization server. */
async function vouchedFor(
  provider: IdentityProvider | null,
  subject: string,
  request: TokenRequest,
  common: Readonly<Record<string, string>>,
): Promise<string | OAuthFault> {
  if (provider === null) return new OAuthFault('settings', 'grant "enterprise" needs an identity provider');
  const server = await discoverServer(request.http, provider.issuer);
  if (server instanceof OAuthFault) return server;
  const client = { id: provider.clientId, secret: provider.clientSecret, key: null, method: null };
  return exchangeForAssertion(
    { ...request, server, client, proofKey: null },
    {
      requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
      audience: request.server.issuer,
      subject_token: subject,
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      ...common,
    },
  );
}
