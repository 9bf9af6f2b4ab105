import type { OAuthPlan, Person, Unattended } from '../../src/upstream/oauth/index.ts';
import type { Context } from './scenarios.ts';

/** Document that stands for our own in the suite's scenarios; it is never fetched. */
const CLIENT_METADATA = 'https://conformance-test.local/client-metadata.json';

/** The settings an operator would have written, given what the scenario says was agreed beforehand. */
export async function planOf(scenario: string, endpoint: string, context: Context): Promise<OAuthPlan> {
  const text = (name: string) => (typeof context[name] === 'string' ? (context[name] as string) : null);
  const unattended = unattendedOf(scenario, text);
  const id = text('client_id');
  const pem = text('private_key_pem');
  return {
    name: 'suite',
    endpoint,
    // A client id belongs to an issuer; where the scenario does not name it, the operator looked it up before.
    issuer: id === null ? null : (text('issuer') ?? (await issuerOf(endpoint))),
    client:
      id === null
        ? null
        : {
            id,
            secret: text('client_secret'),
            key: pem === null ? null : { pem, alg: text('signing_algorithm') ?? 'ES256', kid: null },
          },
    clientMetadataUrl: CLIENT_METADATA,
    clientName: 'Gatewrit',
    scopes: null,
    dpop: 'auto',
    unattended,
  };
}

function unattendedOf(scenario: string, text: (name: string) => string | null): Unattended | null {
  const none = { assertion: null, identityProvider: null };
  if (scenario.startsWith('auth/client-credentials')) return { kind: 'client_credentials', ...none };
  if (scenario === 'auth/wif-jwt-bearer')
    return { kind: 'workload', ...none, assertion: () => text('valid_jwt') ?? '' };
  if (scenario === 'auth/enterprise-managed-authorization')
    return {
      kind: 'enterprise',
      assertion: () => text('idp_id_token') ?? '',
      identityProvider: { issuer: text('idp_issuer') ?? '', clientId: text('idp_client_id') ?? '', clientSecret: null },
    };
  return null;
}

async function issuerOf(endpoint: string): Promise<string> {
  const { origin, pathname } = new URL(endpoint);
  const answer = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  return ((await answer.json()) as { authorization_servers: string[] }).authorization_servers[0]!;
}

/** The suite's sign-in page asks nobody: it sends the browser back at once. */
export const person: Person = {
  redirectUri: 'http://127.0.0.1:3999/callback',
  async open(url) {
    const answer = await fetch(url, { redirect: 'manual' });
    await answer.body?.cancel();
    const location = answer.headers.get('location');
    if (location === null) throw new Error(`the sign-in page answered HTTP ${answer.status}`);
    return new URL(location, url).href;
  },
};
