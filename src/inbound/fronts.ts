import { readFileSync } from 'node:fs';
import type { ListenSettings } from '../configuration.ts';
import { nodeBody } from '../controls/transport/index.ts';
import type { Now } from '../core/call.ts';
import type { Gatewrit } from '../gatewrit.ts';
import { PUBLIC_ROUTES } from '../pipeline.ts';
import { adminFront } from './admin/front.ts';
import { mcpFront } from './http/front.ts';
import { listen } from './http/listener.ts';
import { publicRoutes } from './http/public-routes.ts';

export interface FrontsOptions {
  readonly gatewrit: Gatewrit;
  readonly listen: ListenSettings;
  readonly ports: { readonly public: number; readonly admin: number };
  readonly urls: { readonly public: string; readonly admin: string };
  /** The development leaf; null: the one of section `transport`. */
  readonly certificates: { readonly cert: string; readonly key: string } | null;
  readonly clock: () => Now;
}

export interface Fronts {
  close(deadlineMs: number): Promise<void>;
}

const KEEP_ALIVE_MS = 15_000;
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

/** Opens the two listeners. Both are TLS 1.3 from the same hardened options; there is no third way in. */
export async function openFronts({
  gatewrit,
  listen: settings,
  ports,
  urls,
  certificates,
  clock,
}: FrontsOptions): Promise<Fronts> {
  const { transport } = gatewrit;
  const pair = certificates
    ? { certificate: readFileSync(certificates.cert), key: readFileSync(certificates.key) }
    : undefined;
  const server = transport.serverOptions(pair);
  const shared = { handler: gatewrit, headers: transport.headers, body: nodeBody, clock };
  const front = mcpFront({ ...shared, maxBufferedBytes: MAX_BUFFERED_BYTES, keepAliveMs: KEEP_ALIVE_MS });
  const opened: { close(deadlineMs: number): Promise<void> }[] = [];
  const open = async (which: 'public' | 'admin', serve: (url: URL) => Parameters<typeof listen>[0]['handler']) => {
    const url = new URL(urls[which]);
    opened.push(
      await listen({
        host: settings[which].host,
        port: ports[which],
        server,
        harden: transport.harden,
        handler: serve(url),
      }),
    );
  };
  const documents = (which: 'public' | 'admin') =>
    new Map(
      [...gatewrit.metadata].filter(([path]) => path.endsWith('/api') === (which === 'admin') && isPublic(which, path)),
    );
  await open('public', ({ host }) => {
    const open = publicRoutes({
      headers: transport.headers,
      documents: documents('public'),
      healthy: gatewrit.healthy,
      host,
    });
    return (req, res) => {
      if (!open(req, res)) front(req, res);
    };
  });
  await open('admin', ({ host }) => {
    const open = publicRoutes({
      headers: transport.headers,
      documents: documents('admin'),
      healthy: gatewrit.healthy,
      host,
    });
    const admin = adminFront({ ...shared, ready: gatewrit.healthy, mcp: gatewrit.resources.mcp });
    return (req, res) => {
      if (!open(req, res)) admin(req, res);
    };
  });
  return {
    async close(deadlineMs) {
      await Promise.all(opened.map((listener) => listener.close(deadlineMs)));
    },
  };
}

/** What is answered without a principal is a closed list; a document outside it is not served. */
function isPublic(which: keyof typeof PUBLIC_ROUTES, path: string): boolean {
  return PUBLIC_ROUTES[which].some((route) => path === route || path.startsWith(`${route}/`));
}
