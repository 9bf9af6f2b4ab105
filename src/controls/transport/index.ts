import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer, ServerOptions } from 'node:https';
import type { Head, Now } from '../../core/call.ts';
import { SettingsError } from '../../core/internal-error.ts';
import type { Stage } from '../../core/stage.ts';
import { authoritiesFile } from './clients.ts';
import { judgeLeaf } from './leaf.ts';
import { Endpoints, type Listener, Names, type Resources } from './places.ts';
import { hardenServer, type KeyPair, readKeyPair, serverOptions } from './server.ts';
import type { TransportSettings } from './settings.ts';
import { bodyStage, headStage, place } from './stages.ts';

export { nodeBody } from './body-source.ts';
export { readAuthorities } from './clients.ts';
export { judgeLeaf, type LeafJudgement } from './leaf.ts';
export type { Listener, Resources } from './places.ts';
export { TRANSPORT_REFUSALS } from './refusals.ts';
export { type KeyPair, readKeyPair } from './server.ts';
export { type TransportSettings, transportSettings, weakTransport } from './settings.ts';

export interface Transport {
  readonly stages: {
    readonly head: Stage<never, 'endpoint'>;
    readonly body: Stage<'endpoint' | 'principal', 'body'>;
  };
  /**
   * Whether a request speaks to us and comes from a page that may: the rule of `transport.head`, for the routes that are
   * answered without a call. What it refuses must go the way of a call, where it is refused again and recorded.
   */
  welcomes(listener: Listener, request: Pick<Head, 'headers' | 'rawHeaders'>): boolean;
  /** Headers of every response, names and values alternating. */
  readonly headers: { readonly common: readonly string[] };
  /**
   * The TLS leaf to serve: read anew, and judged. At a reload the caller keeps the old one when this throws.
   * @param development the pair development made; without it the one of the settings
   * @throws SettingsError when there is none, or it is expired, a sample or broken
   */
  leaf(now: Pick<Now, 'utc'>, development?: KeyPair): KeyPair;
  /** Files the leaf and the authorities of clients are read from, when they may be replaced while running. */
  readonly reload: { readonly files: readonly string[]; readonly everySeconds: number } | null;
  /** Options for `https.createServer` and, on a new pair, `server.setSecureContext`; `pair` wins over the settings. @throws SettingsError when there is none */
  serverOptions(pair?: KeyPair): ServerOptions;
  /** What options cannot say. Call once per server, after its request listener and before `listen`. @returns stops its timer (so does closing the server) */
  harden(server: HttpServer | HttpsServer): () => void;
}

export function openTransport(options: {
  readonly settings: TransportSettings;
  /** Folder at which a relative `clients.ca` starts. */
  readonly home: string;
  readonly resources: Resources;
}): Transport {
  const { settings, home, resources } = options;
  const names = {
    public: new Names('public', resources, settings),
    admin: new Names('admin', resources, settings),
  };
  const common = Object.freeze([
    'Strict-Transport-Security',
    `max-age=${settings.hstsMaxAgeSeconds}; includeSubDomains`,
    'X-Content-Type-Options',
    'nosniff',
    'Cache-Control',
    'no-store',
    'Content-Security-Policy',
    "default-src 'none'; frame-ancestors 'none'",
    'Referrer-Policy',
    'no-referrer',
  ]);
  return {
    stages: { head: headStage(settings, new Endpoints(resources), names), body: bodyStage(settings) },
    welcomes: (listener, request) => place(request, null, names[listener], settings.maxHeaders) === null,
    headers: { common },
    leaf(now, development) {
      const leaf = development ?? readKeyPair(settings);
      if (leaf === null) throw new SettingsError(NO_LEAF);
      const [fault] = judgeLeaf(leaf, now, development !== undefined).refused;
      if (fault !== undefined) throw new SettingsError(`transport.tls cannot be served: ${fault}`);
      return leaf;
    },
    reload: reloadOf(settings, home),
    serverOptions(pair) {
      const leaf = pair ?? readKeyPair(settings);
      if (leaf === null) throw new SettingsError(NO_LEAF);
      return serverOptions(settings, leaf, home);
    },
    harden: (server) => hardenServer(server, settings, common),
  };
}

const NO_LEAF = 'transport.tls is missing: name a certificate and its key';

function reloadOf(settings: TransportSettings, home: string): Transport['reload'] {
  const { tls } = settings;
  if (!tls || tls.reloadSeconds === 0) return null;
  const key = tls.key.startsWith('file:') ? [tls.key.slice('file:'.length)] : [];
  const authorities = authoritiesFile(settings, home) ?? [];
  return { files: [tls.certificate, ...key].concat(authorities), everySeconds: tls.reloadSeconds };
}
