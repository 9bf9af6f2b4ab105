import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ResponseHeaders } from './answer.ts';

/** What one public route says. It reads no body, looks at no credential, and says the same to everybody. */
export interface PublicRoute {
  readonly type: string;
  /** Pages of other origins may read it: metadata is public (protocol.md 1.12). */
  readonly anyOrigin: boolean;
  readonly answer: () => { readonly status: number; readonly body: Uint8Array };
}

export interface PublicRoutes {
  readonly headers: ResponseHeaders;
  /** By exact path, without a query. */
  readonly routes: ReadonlyMap<string, PublicRoute>;
  /** Whether the request speaks to us, from a page that may. */
  readonly welcomes: (request: Pick<IncomingMessage, 'headers' | 'rawHeaders'>) => boolean;
}

export const json = (status: number, value: object) => ({ status, body: Buffer.from(JSON.stringify(value)) });

/**
 * The routes outside the principal rule (pipeline.ts, PUBLIC_ROUTES): answers true when it took the request. One that
 * names another host or comes from a foreign page is left to the pipeline, which refuses it and keeps a record.
 */
export function publicRoutes(options: PublicRoutes): (req: IncomingMessage, res: ServerResponse) => boolean {
  const { common } = options.headers;
  return (req, res) => {
    const route = options.routes.get(req.url ?? '');
    if (!route || !options.welcomes(route.anyOrigin ? withoutOrigin(req) : req)) return false;
    const { method } = req;
    const cors = route.anyOrigin ? ['Access-Control-Allow-Origin', '*'] : [];
    if (method === 'OPTIONS' && route.anyOrigin) {
      res.writeHead(204, [...common, ...cors, 'Access-Control-Allow-Methods', 'GET, HEAD, OPTIONS']).end();
      return true;
    }
    const asked = method === 'GET' || method === 'HEAD';
    const { status, body } = asked ? route.answer() : json(405, { error: 'Send GET.' });
    res.writeHead(status, [
      ...common,
      'Content-Type',
      asked ? route.type : 'application/json',
      'Content-Length',
      String(body.length),
      ...(asked ? cors : ['Allow', 'GET, HEAD']),
      // A body nobody reads ends the connection.
      ...(asked && isEmpty(req) ? [] : ['Connection', 'close']),
    ]);
    res.end(method === 'HEAD' ? undefined : body);
    return true;
  };
}

/** By its head: whether the parser has come to the end of a request is not known yet when it arrives. */
function isEmpty({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
}

function withoutOrigin({ headers, rawHeaders }: IncomingMessage): Pick<IncomingMessage, 'headers' | 'rawHeaders'> {
  const { origin: _anybody, ...rest } = headers;
  return { headers: rest, rawHeaders };
}
