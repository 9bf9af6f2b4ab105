import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';

/**
 * The suite can send no token and speaks no TLS: this adds the one and does the other, and touches nothing else. Method,
 * path, headers (Host and Origin among them) and bytes pass as they are, both ways, as they come; who hangs up on one
 * side hangs up on the other.
 */
export class Relay {
  readonly port: number;
  readonly #server: Server;
  #to: { readonly port: number; readonly agent: Agent; readonly token: string } | null = null;
  /** Where to write what passes; the answer to "which bytes were these?". */
  onExchange: ((line: string) => void) | null = null;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (req: IncomingMessage, res: ServerResponse) => this.#pass(req, res));
  }

  /** Listens before there is a gateway, which must be told under which Host it will be called. */
  static async open(): Promise<Relay> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Relay(server);
  }

  /** @param to the gateway's public listener, PEM path of its authority, and a token for it */
  aim(to: { readonly url: string; readonly ca: string; readonly token: string }): void {
    const agent = new Agent({ keepAlive: true, ca: readFileSync(to.ca) });
    this.#to = { port: Number(new URL(to.url).port), agent, token: to.token };
  }

  close(): void {
    this.#to?.agent.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #pass(req: IncomingMessage, res: ServerResponse): void {
    const { port, agent, token } = this.#to!;
    const out = request({
      ...{ host: '127.0.0.1', servername: 'localhost', port, agent },
      ...{ method: req.method, path: req.url },
      headers: [...withoutHops(req.rawHeaders), 'Authorization', `Bearer ${token}`],
      setHost: false,
    });
    const heard: Buffer[] = [];
    const said: Buffer[] = [];
    if (this.onExchange) req.on('data', (chunk: Buffer) => heard.push(chunk));
    out.on('response', (answer) => {
      res.writeHead(answer.statusCode ?? 502, withoutHops(answer.rawHeaders));
      res.flushHeaders();
      if (this.onExchange) answer.on('data', (chunk: Buffer) => said.push(chunk));
      answer.on('close', () => this.onExchange?.(line(req, heard, answer, said)));
      answer.on('error', () => res.destroy());
      answer.pipe(res);
    });
    out.on('error', (error) => {
      this.onExchange?.(`${req.method} ${req.url} ${Buffer.concat(heard)} => ${error.message}`);
      res.destroy();
    });
    res.on('close', () => out.destroy());
    req.pipe(out);
  }
}

/** Headers of one connection, which the next makes for itself. */
function withoutHops(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < raw.length; at += 2)
    if (!/^(connection|keep-alive|transfer-encoding)$/i.test(raw[at]!)) kept.push(raw[at]!, raw[at + 1]!);
  return kept;
}

function line(req: IncomingMessage, heard: Buffer[], answer: IncomingMessage, said: Buffer[]): string {
  const headers = JSON.stringify(req.headers);
  const came = `${new Date().toISOString()} ${req.method} ${req.url} ${headers} ${Buffer.concat(heard)}`;
  return `${came}\n  => ${answer.statusCode} ${JSON.stringify(answer.headers)} ${Buffer.concat(said)}`;
}
