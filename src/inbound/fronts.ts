import { readFileSync } from 'node:fs';
import type { ListenSettings } from '../configuration.ts';
import { nodeBody, type Transport } from '../controls/transport/index.ts';
import type { Now } from '../core/call.ts';
import type { Log } from '../core/log.ts';
import { protectedResourceMetadataPath } from '../core/mcp/challenge.ts';
import type { Gatewrit } from '../gatewrit.ts';
import { PUBLIC_ROUTES } from '../pipeline.ts';
import { adminFront } from './admin/front.ts';
import { consolePage } from './console/page.ts';
import { watchFiles } from './http/files.ts';
import { mcpFront } from './http/front.ts';
import { type Listener, listen } from './http/listener.ts';
import { json, type PublicRoute, publicRoutes } from './http/public-routes.ts';

export interface FrontsOptions {
  readonly gatewrit: Gatewrit;
  readonly listen: ListenSettings;
  readonly ports: { readonly public: number; readonly admin: number };
  /** The development leaf; null: the one of section `transport`. */
  readonly certificates: { readonly cert: string; readonly key: string } | null;
  readonly clock: () => Now;
  /** Told when the certificate was replaced, or could not be. */
  readonly log?: Log;
}

export interface Fronts {
  close(deadlineMs: number): Promise<void>;
}

type Which = keyof typeof PUBLIC_ROUTES;
type Handler = Parameters<typeof listen>[0]['handler'];

const KEEP_ALIVE_MS = 15_000;
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

/** Opens the two listeners. Both are TLS 1.3 from the same hardened options; there is no third way in. */
export async function openFronts({
  gatewrit,
  listen: settings,
  ports,
  certificates,
  clock,
  log,
}: FrontsOptions): Promise<Fronts> {
  const { transport } = gatewrit;
  const pair = certificates
    ? { certificate: readFileSync(certificates.cert), key: readFileSync(certificates.key) }
    : undefined;
  const server = transport.serverOptions(transport.leaf(clock(), pair));
  let served = server;
  const shared = { handler: gatewrit, headers: transport.headers, body: nodeBody, clock };
  const front = mcpFront({ ...shared, maxBufferedBytes: MAX_BUFFERED_BYTES, keepAliveMs: KEEP_ALIVE_MS });
  const opened: Listener[] = [];
  const open = async (which: Which, serve: Handler) => {
    const welcomes = (request: Parameters<Transport['welcomes']>[1]) => transport.welcomes(which, request);
    const taken = publicRoutes({ headers: transport.headers, routes: routesOf(which, gatewrit), welcomes });
    const handler: Handler = (req, res) => {
      if (!taken(req, res)) serve(req, res);
    };
    const { host } = settings[which];
    opened.push(await listen({ host, port: ports[which], server, harden: transport.harden, handler }));
  };
  try {
    await open('public', front);
    await open('admin', adminFront(shared));
  } catch (cause) {
    // Half a gateway must not go on answering.
    await Promise.all(opened.map((listener) => listener.close(0)));
    throw cause;
  }
  const unwatch = pair
    ? () => {}
    : watchFiles(transport.reload, () => {
        served = serveNewFiles(transport, opened, served, clock(), log);
      });
  return {
    async close(deadlineMs) {
      unwatch();
      gatewrit.endStreams();
      await Promise.all(opened.map((listener) => listener.close(deadlineMs)));
    },
  };
}

type TlsOptions = ReturnType<Transport['serverOptions']>;

/**
 * New connections get the new certificate and the new authorities of clients, those that are open go on. Whatever is
 * wrong with them, the old ones stay. @returns what is served now
 */
function serveNewFiles(
  transport: Transport,
  listeners: readonly Listener[],
  served: TlsOptions,
  now: Now,
  log: Log | undefined,
): TlsOptions {
  try {
    const options = transport.serverOptions(transport.leaf(now));
    for (const { server } of listeners) server.setSecureContext(options);
    const same = (name: 'cert' | 'key' | 'ca') => String(options[name]) === String(served[name]);
    if (!same('cert') || !same('key')) log?.info('the certificate was replaced');
    if (!same('ca')) log?.info('the authorities of clients were replaced');
    return options;
  } catch (cause) {
    log?.error('the new certificate cannot be served; the old one stays', {}, cause);
    return served;
  }
}

/** What is answered without a principal is a closed list; a document outside it is not served. */
function routesOf(which: Which, { metadata, resources, healthy }: Gatewrit): Map<string, PublicRoute> {
  const listed = (path: string) => PUBLIC_ROUTES[which].some((route) => path === route || path.startsWith(`${route}/`));
  const ours = protectedResourceMetadataPath(resources.admin);
  const plain = { type: 'application/json', anyOrigin: false };
  const routes = new Map<string, PublicRoute>([
    ['/healthz', { ...plain, answer: () => (healthy() ? json(200, { status: 'up' }) : json(503, { status: 'down' })) }],
  ]);
  if (which === 'admin') {
    const page = Buffer.from(String(consolePage({ mcp: resources.mcp })));
    const ready = () => (healthy() ? json(200, { status: 'ready' }) : json(503, { status: 'not ready' }));
    routes.set('/readyz', { ...plain, answer: ready });
    routes.set('/console', { ...plain, type: 'text/html; charset=UTF-8', answer: () => ({ status: 200, body: page }) });
  }
  for (const [path, document] of metadata) {
    if ((path === ours) !== (which === 'admin')) continue;
    const answer = json(200, document);
    routes.set(path, { ...plain, anyOrigin: true, answer: () => answer });
  }
  return new Map([...routes].filter(([path]) => listed(path)));
}
