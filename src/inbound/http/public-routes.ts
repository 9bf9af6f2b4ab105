import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ResponseHeaders } from './answer.ts';

export interface PublicRoutes {
  readonly headers: ResponseHeaders;
  /** Documents by exact path; open to anybody, on purpose (RFC 9728). */
  readonly documents: ReadonlyMap<string, object>;
  /** Up or down and nothing else. */
  readonly healthy: () => boolean;
  /** Values of Host that are us; a document is not served under another name. */
  readonly host: string;
}

/**
 * The routes outside the principal rule (pipeline.ts, PUBLIC_ROUTES): answers true when it took the request. They read
 * no body, look at no credential, and say the same to everybody.
 */
export function publicRoutes(routes: PublicRoutes): (req: IncomingMessage, res: ServerResponse) => boolean {
  const ready = new Map([...routes.documents].map(([path, document]) => [path, Buffer.from(JSON.stringify(document))]));
  const send = (res: ServerResponse, status: number, body: Buffer, extra: readonly string[], withBody: boolean) => {
    res.writeHead(status, [
      ...routes.headers.common,
      'Content-Type',
      'application/json',
      'Content-Length',
      String(body.length),
      ...extra,
    ]);
    res.end(withBody ? body : undefined);
  };
  return (req, res) => {
    const path = req.url ?? '';
    const document = ready.get(path);
    if (!document && path !== '/healthz') return false;
    if (req.headers.host !== routes.host || req.headersDistinct['host']?.length !== 1) {
      send(res, 421, Buffer.from('{"error":"This host name is not served here."}'), ['Connection', 'close'], true);
      return true;
    }
    const { method } = req;
    if (method === 'OPTIONS' && document) {
      // Browsers of other origins may read metadata: it is public (protocol.md 1.12).
      res.writeHead(204, [
        ...routes.headers.common,
        'Access-Control-Allow-Origin',
        '*',
        'Access-Control-Allow-Methods',
        'GET, HEAD, OPTIONS',
      ]);
      res.end();
      return true;
    }
    if (method !== 'GET' && method !== 'HEAD') {
      send(res, 405, Buffer.from('{"error":"Send GET."}'), ['Allow', 'GET, HEAD', 'Connection', 'close'], true);
      return true;
    }
    if (document) send(res, 200, document, ['Access-Control-Allow-Origin', '*'], method === 'GET');
    else {
      const up = routes.healthy();
      send(res, up ? 200 : 503, Buffer.from(up ? '{"status":"up"}' : '{"status":"down"}'), [], method === 'GET');
    }
    return true;
  };
}
