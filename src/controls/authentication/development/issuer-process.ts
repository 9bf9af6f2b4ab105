// Runs as its own process (issuer.ts starts it): oidc-provider and everything it brings stay out of the gateway.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ensureIssuerKeys } from './issuer-keys.ts';
import { DEVELOPMENT_PEOPLE, scopesFor } from './people.ts';
import { PAGE_HEADERS, signInPage } from './sign-in-page.ts';

export interface IssuerOrder {
  readonly home: string;
  readonly port: number;
  readonly resources: readonly string[];
  readonly scopes: readonly string[];
  readonly certificate: { readonly cert: string; readonly key: string };
}

/** What we use of oidc-provider, which brings no types. */
interface Interaction {
  readonly uid: string;
  readonly params: Readonly<Record<string, string | undefined>>;
}
interface Grant {
  addOIDCScope(scopes: string): void;
  addResourceScope(resource: string, scopes: string): void;
  rejectResourceScope(resource: string, scopes: string): void;
  save(): Promise<string>;
}
interface Provider {
  readonly Grant: new (of: { accountId: string; clientId: string }) => Grant;
  callback(): (request: IncomingMessage, response: ServerResponse) => void;
  interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
  interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>;
}
interface Check {
  new (reason: string, text: string, check: (context: { oidc: { result?: { login?: unknown } } }) => boolean): object;
}
interface Library {
  readonly default: new (issuer: string, configuration: object) => Provider;
  readonly errors: { readonly InvalidTarget: new () => Error };
  readonly interactionPolicy: {
    base(): { get(name: string): { checks: { add(check: object): void } } };
    readonly Check: Check;
  };
}

const CLI_CLIENT = 'gatewrit-cli';
const CLI_DOCUMENT = '/clients/cli.json';
const TOKEN_SECONDS = 600;

process.once('message', (order: IssuerOrder) => {
  serve(order).then(
    (url) => process.send?.({ ready: url }),
    (cause: unknown) => {
      process.send?.({ failed: String(cause) });
      process.exit(1);
    },
  );
});
// The channel ends when the parent ends, however it ended.
process.once('disconnect', () => process.exit(0));

async function serve(order: IssuerOrder): Promise<string> {
  const server = createServer({
    cert: readFileSync(order.certificate.cert),
    key: readFileSync(order.certificate.key),
    minVersion: 'TLSv1.3',
  });
  await new Promise<void>((done, fail) => {
    // A busy port moves to a free one (architecture.md section 6).
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return fail(error);
      server.once('error', fail);
      server.listen(0, '127.0.0.1', done);
    });
    server.listen(order.port, '127.0.0.1', done);
  });
  const { port } = server.address() as AddressInfo;
  const url = `https://localhost:${port}`;
  const library = (await import('oidc-provider' as string)) as Library;
  const provider = new library.default(url, configuration(order, url, library));
  const callback = provider.callback();
  server.on('request', (request, response) => {
    // A name that was rebound to 127.0.0.1 is a stranger's page.
    if (request.headers.host !== `localhost:${port}`) return void response.writeHead(421).end();
    if (request.url === CLI_DOCUMENT)
      return sendJson(response, { ...nativeClient(url + CLI_DOCUMENT), client_name: 'Gatewrit' });
    if (!request.url?.startsWith('/interaction/')) return callback(request, response);
    signIn(provider, order, url, { request, response }).catch(() => {
      if (!response.headersSent) response.writeHead(400, { 'content-type': 'text/plain' });
      response.end('This sign-in is over; start again from your client.\n');
    });
  });
  return url;
}

function configuration(order: IssuerOrder, url: string, { errors, interactionPolicy }: Library): object {
  const policy = interactionPolicy.base();
  // Ask every time: on this page people change who they are.
  policy
    .get('login')
    .checks.add(new interactionPolicy.Check('choose_person', 'choose who you are', ({ oidc }) => !oidc.result?.login));
  return {
    jwks: { keys: [ensureIssuerKeys(order.home).jwk] },
    scopes: ['openid', 'offline_access'],
    clients: [nativeClient(CLI_CLIENT)],
    clientDefaults: { id_token_signed_response_alg: 'ES256', token_endpoint_auth_method: 'none' },
    clientAuthMethods: ['none'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    pkce: { required: () => true },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    interactions: { policy, url: (_: unknown, { uid }: Interaction) => `/interaction/${uid}` },
    findAccount: (_: unknown, subject: string) =>
      DEVELOPMENT_PEOPLE.some((person) => person.subject === subject)
        ? { accountId: subject, claims: async () => ({ sub: subject }) }
        : undefined,
    extraTokenClaims: (_: unknown, token: { accountId?: string }) => {
      const groups = DEVELOPMENT_PEOPLE.find((person) => person.subject === token.accountId)?.groups ?? [];
      return groups.length > 0 ? { groups } : undefined;
    },
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    ttl: {
      AccessToken: TOKEN_SECONDS,
      IdToken: TOKEN_SECONDS,
      RefreshToken: 86_400,
      Grant: 86_400,
      Session: 3600,
      Interaction: 3600,
    },
    clientBasedCORS: (_: unknown, origin: string) => /^https?:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/.test(origin),
    renderError: (context: { type: string; body: string }, out: Record<string, string>) => {
      context.type = 'text';
      context.body = `${Object.entries(out)
        .map(([name, value]) => `${name}: ${value}`)
        .join('\n')}\n`;
    },
    fetch: (target: string, options: RequestInit & { dispatcher?: unknown }) => {
      // Documents of clients on this machine: a browser page could ask for these addresses itself.
      if (new URL(target).hostname === 'localhost') delete options.dispatcher;
      return fetch(target, options);
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_: unknown, __: unknown, oneOf?: string | string[]) => oneOf ?? order.resources[0],
        useGrantedResource: () => true,
        getResourceServerInfo: (_: unknown, resource: string) => {
          if (!order.resources.includes(resource)) throw new errors.InvalidTarget();
          return {
            scope: order.scopes.join(' '),
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: TOKEN_SECONDS,
            jwt: { sign: { alg: 'ES256' } },
          };
        },
      },
    },
    discovery: {
      resource_indicators_supported: true,
      scopes_supported: ['openid', 'offline_access', ...order.scopes],
      service_documentation: `${url}/`,
    },
  };
}

/** A public client on this machine: any loopback port may take the code (RFC 8252 section 7.3). */
function nativeClient(id: string): object {
  return {
    client_id: id,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
  };
}

async function signIn(
  provider: Provider,
  order: IssuerOrder,
  url: string,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const { params } = await provider.interactionDetails(request, response);
  const resource = params['resource'] ?? order.resources[0] ?? '';
  const asked = (params['scope'] ?? '').split(' ').filter((scope) => order.scopes.includes(scope));
  if (request.method !== 'POST') {
    const page = signInPage({
      client: params['client_id'] ?? '',
      redirect: params['redirect_uri'] ?? '',
      resource,
      scopes: asked,
      people: DEVELOPMENT_PEOPLE,
    });
    response.writeHead(200, PAGE_HEADERS).end(page);
    return;
  }
  // A click counts only on our own page: another site's form may not choose for somebody.
  if (request.headers.origin !== undefined && request.headers.origin !== url) throw new Error('foreign origin');
  const chosen = new URLSearchParams(await readForm(request)).get('person');
  const person = DEVELOPMENT_PEOPLE.find(({ subject }) => subject === chosen);
  if (person === undefined) {
    await provider.interactionFinished(request, response, {
      error: 'access_denied',
      error_description: 'sign-in was cancelled',
    });
    return;
  }
  const grant = new provider.Grant({ accountId: person.subject, clientId: params['client_id'] ?? '' });
  grant.addOIDCScope('openid offline_access');
  const granted = scopesFor(person, asked);
  grant.addResourceScope(resource, granted.join(' '));
  const withheld = asked.filter((scope) => !granted.includes(scope));
  if (withheld.length > 0) grant.rejectResourceScope(resource, withheld.join(' '));
  const login = { accountId: person.subject, remember: false };
  await provider.interactionFinished(request, response, { login, consent: { grantId: await grant.save() } });
}

async function readForm(request: IncomingMessage): Promise<string> {
  let form = '';
  for await (const chunk of request.setEncoding('utf8')) {
    form += chunk as string;
    if (form.length > 4096) throw new Error('form too large');
  }
  return form;
}

function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
