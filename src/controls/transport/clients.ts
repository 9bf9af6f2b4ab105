import { constants, X509Certificate } from 'node:crypto';
import type { Server as HttpsServer, ServerOptions } from 'node:https';
import { resolve } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { SettingsError } from '../../core/internal-error.ts';
import { readPem } from './pem.ts';
import type { TransportSettings } from './settings.ts';

/** The file of `transport.clients.ca`, or null when clients are asked for no certificate. */
export function authoritiesFile({ clients }: TransportSettings, home: string): string | null {
  return clients.certificates === 'off' ? null : resolve(home, clients.ca!);
}

/**
 * What TLS asks of clients. A resumed session would vouch for a certificate nobody presented or proved again, past its
 * end and for as long as somebody keeps resuming; so where certificates count, every connection makes a full handshake.
 * @throws SettingsError when the authorities cannot be read: in `optional` nobody would notice that there are none
 */
export function clientOptions(settings: TransportSettings, home: string): ServerOptions {
  const ca = readAuthorities(settings, home);
  if (ca === null) return {};
  return {
    requestCert: true,
    rejectUnauthorized: settings.clients.certificates === 'required',
    ca,
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * The certificates of `transport.clients.ca`, PEM, or null when clients are asked for none. OpenSSL leaves out what it
 * cannot read without a word.
 * @throws SettingsError
 */
export function readAuthorities(settings: TransportSettings, home: string): string[] | null {
  const file = authoritiesFile(settings, home);
  if (file === null) return null;
  const text = readPem(file).toString('latin1');
  const blocks = text.match(BLOCK) ?? [];
  const begun = text.split('-----BEGIN ').length - 1;
  if (blocks.length === 0 || blocks.length !== begun || !blocks.every(isCertificate))
    throw new SettingsError(`transport.clients.ca: ${file} must hold certificates in PEM and nothing else`);
  return blocks;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

/**
 * Whoever presents a certificate that does not hold is cut before HTTP sees the connection, also where none is needed:
 * what was meant as a proof may not end as "no proof". Cutting it later is too late: a request that came in the same
 * packet as the end of the handshake would run.
 */
export function cutFalseCertificates(server: HttpsServer): void {
  const listeners = server.listeners('secureConnection') as ((this: HttpsServer, socket: TLSSocket) => void)[];
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket) => {
    if (!socket.authorized && socket.getPeerX509Certificate() !== undefined) return void socket.destroy();
    for (const listener of listeners) listener.call(server, socket);
  });
}
