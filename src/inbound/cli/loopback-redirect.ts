import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InternalError } from '../../core/internal-error.ts';
import type { Person } from '../../upstream/oauth/index.ts';

const WAIT_MS = 5 * 60_000;
const PATH = '/callback';

/** The loopback redirect of a native application (RFC 8252 7.3): listens on this machine until a browser comes back. */
export class LoopbackRedirect implements Person {
  readonly redirectUri: string;
  readonly #server: Server;
  readonly #show: (url: string) => void;

  private constructor(server: Server, show: (url: string) => void) {
    this.#server = server;
    this.#show = show;
    this.redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`;
  }

  /**
   * @param port 0 takes a free one
   * @param show tells the person which page to open; nothing is started for them
   */
  static async listen(port: number, show: (url: string) => void): Promise<LoopbackRedirect> {
    const server = createServer({ maxHeaderSize: 16 * 1024 });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new InternalError('upstream.redirect', `port ${port} cannot be listened on`, { kind: 'outage', cause })),
      );
      server.listen(port, '127.0.0.1', resolve);
    });
    return new LoopbackRedirect(server, show);
  }

  open(url: string): Promise<string> {
    const state = new URL(url).searchParams.get('state');
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const late = setTimeout(
      () => reject(new InternalError('upstream.nobody_came', 'nobody signed in within 5 minutes', { kind: 'outage' })),
      WAIT_MS,
    );
    this.#server.on('request', (req, res) => {
      const back = URL.parse(req.url ?? '', this.redirectUri);
      // Anybody on this machine can knock; only the browser that was sent away knows the state.
      const ours = req.method === 'GET' && back?.pathname === PATH && back.searchParams.get('state') === state;
      res.writeHead(ours ? 200 : 404, {
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        connection: 'close',
      });
      res.end(ours ? 'You can close this page and go back to the terminal.\n' : 'Not found\n');
      if (ours && back) resolve(back.href);
    });
    this.#show(url);
    return promise.finally(() => clearTimeout(late));
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
