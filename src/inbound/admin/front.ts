import type { IncomingMessage, ServerResponse } from 'node:http';
import { Hono } from 'hono';
import type { BodySource, Now } from '../../core/call.ts';
import type { ResponseHeaders } from '../http/answer.ts';
import { arrive, type CallHandler } from '../http/front.ts';
import { adminBody } from './body.ts';

export interface AdminFrontOptions {
  readonly handler: CallHandler;
  readonly headers: ResponseHeaders;
  readonly body: (req: IncomingMessage) => BodySource;
  readonly clock: () => Now;
}

interface Env {
  Bindings: { req: IncomingMessage; res: ServerResponse };
}

/** Of a route that takes no body: whatever was sent with it is not read. */
const NO_BODY: BodySource = { read: () => new Uint8Array(0) };

/** Names no operation: what comes to no route goes through the pipeline all the same, is refused there and recorded. */
const NO_OPERATION = 'none';

/**
 * The admin API: a closed table of routes, each one operation of the built-in manifest, each through the whole pipeline.
 * What answers without a principal is not here (http/public-routes.ts).
 */
export function adminFront(options: AdminFrontOptions): (req: IncomingMessage, res: ServerResponse) => void {
  const app = new Hono<Env>();
  const operate = async (
    env: Env['Bindings'],
    operation: string,
    fixed: Readonly<Record<string, string>>,
    hasBody: boolean,
  ): Promise<Response> => {
    const { req, res } = env;
    const call = arrive(
      req,
      'admin',
      adminBody(hasBody ? options.body(req) : NO_BODY, operation, fixed),
      options.clock(),
    );
    res.once('close', () => {
      if (!res.writableFinished) call.cancel();
    });
    const { answer, challenge } = await options.handler.handle(call);
    return restAnswer(answer.status, answer.body, challenge, answer.retryAfter);
  };
  app.get('/api/approvals', (c) => operate(c.env, 'admin.approvals.list', {}, false));
  app.get('/api/approvals/:id', (c) => operate(c.env, 'admin.approvals.show', { id: c.req.param('id') }, false));
  app.post('/api/approvals/:id/approve', (c) =>
    operate(c.env, 'admin.approvals.approve', { id: c.req.param('id') }, true),
  );
  app.post('/api/approvals/:id/deny', (c) => operate(c.env, 'admin.approvals.deny', { id: c.req.param('id') }, true));
  app.post('/api/audit/erase', (c) => operate(c.env, 'admin.audit.erase', {}, true));
  app.notFound(async (c) => {
    const answer = await operate(c.env, NO_OPERATION, {}, false);
    if (answer.status !== 422) return answer;
    return c.json({ error: { code: 'NOT_FOUND', message: 'Nothing is served at this path.' } }, 404);
  });
  app.onError((_error, c) => c.json({ error: { code: 'INTERNAL_ERROR', message: 'Something failed inside.' } }, 500));

  return (req, res) => {
    const request = new Request(`https://admin.invalid${routedPath(req.url ?? '')}`, { method: methodOf(req) });
    Promise.resolve(app.fetch(request, { req, res }))
      .then((answer) => send(res, options.headers, answer, req.complete))
      // Nobody can be answered any more, and no request may end the process.
      .catch(() => res.destroy());
  };
}

/** A path is compared byte for byte: one that a URL reader would rewrite (dot segments, percent signs, backslashes) names nothing. */
function routedPath(target: string): string {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  return /^(\/[A-Za-z0-9_-]+)+$/.test(path) ? path : '/';
}

/** A method that fetch objects refuse (TRACE, CONNECT) is none of ours; it finds no route. */
function methodOf(req: IncomingMessage): string {
  return req.method && ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].includes(req.method)
    ? req.method
    : 'OPTIONS';
}

/** JSON-RPC inside, REST outside: the result object, or `{error: {code, message, correlationId}}`. */
function restAnswer(status: number, body: Uint8Array, challenge: string, retryAfter: number): Response {
  const message = JSON.parse(Buffer.from(body).toString('utf8')) as {
    result?: object;
    error?: { message: string; data?: { code?: string } };
  };
  const headers = new Headers({ 'content-type': 'application/json' });
  if (challenge) headers.set('www-authenticate', challenge);
  if (retryAfter > 0) headers.set('retry-after', String(retryAfter));
  if (message.result) return new Response(JSON.stringify(message.result), { status, headers });
  const { data, message: text } = message.error ?? { message: 'Something failed inside.' };
  const refused = status === 200 ? 422 : status;
  return new Response(JSON.stringify({ error: { code: data?.code ?? 'REFUSED', message: text, ...data } }), {
    status: refused,
    headers,
  });
}

async function send(res: ServerResponse, headers: ResponseHeaders, answer: Response, bodyRead: boolean): Promise<void> {
  if (res.destroyed) return;
  const body = Buffer.from(await answer.arrayBuffer());
  res.writeHead(answer.status, [
    ...headers.common,
    ...[...answer.headers].flat(),
    'Content-Length',
    String(body.length),
    ...(bodyRead ? [] : ['Connection', 'close']),
  ]);
  res.end(body);
}
