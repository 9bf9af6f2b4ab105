import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer as createProbe } from 'node:net';
import { InternalError } from '../../core/internal-error.ts';

export interface Listener {
  readonly port: number;
  readonly server: Server;
  /** Stops accepting, waits for what is in flight until `deadlineMs`, then cuts. */
  close(deadlineMs: number): Promise<void>;
}

/** @throws InternalError `listen.failed` when the port is taken or may not be used */
export async function listen(options: {
  host: string;
  port: number;
  server: ServerOptions;
  harden: (server: Server) => void;
  handler: (req: IncomingMessage, res: ServerResponse) => void;
}): Promise<Listener> {
  const server = createServer(options.server, options.handler);
  options.harden(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new InternalError(
          'listen.failed',
          `${options.host}:${options.port} cannot be listened on (${cause.code}); free it or set listen.*.port`,
          { kind: 'outage', cause },
        ),
      ),
    );
    server.listen(options.port, options.host, resolve);
  });
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close: (deadlineMs) => closeServer(server, deadlineMs),
  };
}

function closeServer(server: Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), deadlineMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** The wanted port when it is free, else a free one. Development only: elsewhere a taken port is an error. */
export async function freePort(host: string, wanted: number): Promise<number> {
  return (await tryPort(host, wanted)) ?? (await tryPort(host, 0)) ?? wanted;
}

function tryPort(host: string, port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const probe = createProbe();
    probe.once('error', () => resolve(null));
    probe.listen({ host, port, exclusive: true }, () => {
      const taken = (probe.address() as AddressInfo).port;
      probe.close(() => resolve(taken));
    });
  });
}
