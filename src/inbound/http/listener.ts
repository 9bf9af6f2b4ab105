import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer as createProbe } from 'node:net';
import { InternalError } from '../../core/internal-error.ts';
import { Seats } from '../../core/seats.ts';
import { affordable, processLimits } from './descriptors.ts';

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
  const open = new Seats<ServerResponse>();
  let closing = false;
  const server = createServer(options.server, (req, res) => {
    const seat = open.take(res);
    res.on('close', () => open.leave(seat, res));
    if (closing) res.shouldKeepAlive = false;
    options.handler(req, res);
  });
  options.harden(server);
  const { maxConnections = Number.POSITIVE_INFINITY } = server;
  server.maxConnections = affordable(maxConnections, processLimits());
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
  // One connection that cannot be accepted (no file descriptor left) is not the end of the others.
  server.on('error', () => {});
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close(deadlineMs) {
      closing = true;
      // A busy connection would go on bringing requests until it is cut, whoever's call runs then.
      for (const res of open.all()) res.shouldKeepAlive = false;
      return closeServer(server, deadlineMs);
    },
  };
}

/** How often connections that have become idle are looked for: an answer begun before the end may have promised to keep one. */
const IDLE_SWEEP_MS = 50;

function closeServer(server: Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), deadlineMs);
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
    server.close(() => {
      clearTimeout(cut);
      clearInterval(sweep);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** A port nobody else gets before it is listened on for good. */
export interface KeptPort {
  readonly port: number;
  /** To be called right before `listen`, and when it does not come to that. */
  free(): Promise<void>;
}

/**
 * The wanted port when it is free, else a free one. Development only: elsewhere a taken port is an error. It is kept, as
 * its number stands in URLs long before there is something to serve, and other starts look for free ports too.
 */
export async function keepPort(host: string, wanted: number): Promise<KeptPort> {
  return (await tryPort(host, wanted)) ?? (await tryPort(host, 0)) ?? { port: wanted, free: async () => {} };
}

function tryPort(host: string, port: number): Promise<KeptPort | null> {
  return new Promise((resolve) => {
    // Who comes too early is told so, rather than left waiting.
    const probe = createProbe((socket) => socket.destroy());
    probe.once('error', () => resolve(null));
    probe.listen({ host, port, exclusive: true }, () => {
      const free = () => new Promise<void>((done) => void probe.close(() => done()));
      resolve({ port: (probe.address() as AddressInfo).port, free });
    });
  });
}
