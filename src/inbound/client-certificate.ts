import { readFileSync } from 'node:fs';
import { judgeLeaf } from '../controls/transport/index.ts';
import { InternalError, SettingsError } from '../core/internal-error.ts';
import { openSecret } from '../core/settings.ts';

/** What a client of ours shows a gateway that asks for a certificate, PEM: the chain, and its key. */
export interface ClientCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** For parseArgs. */
export const certificateOptions = { 'client-cert': { type: 'string' }, 'client-key': { type: 'string' } } as const;

/** Lines of `--help`. */
export const CERTIFICATE_USAGE = `  --client-cert FILE, --client-key FILE
                 PEM of your certificate and its key (mode 0600), for a gateway that demands one of its clients;
                 also by GATEWRIT_CLIENT_CERT and GATEWRIT_CLIENT_KEY
`;

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * The two files that were named, null for none, or a sentence when only one was. Both come from one source: a certificate
 * of the command line never meets a key of the environment.
 */
export function certificateFiles(
  values: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): CertificateFiles | null | string {
  const [cert, key] = [values['client-cert'], values['client-key']];
  if (cert !== undefined || key !== undefined) {
    const both = typeof cert === 'string' && typeof key === 'string' && cert !== '' && key !== '';
    return both ? { cert, key } : '--client-cert FILE and --client-key FILE go together';
  }
  const { GATEWRIT_CLIENT_CERT: fromCert = '', GATEWRIT_CLIENT_KEY: fromKey = '' } = env;
  if (fromCert === '' && fromKey === '') return null;
  if (fromCert === '' || fromKey === '') return 'GATEWRIT_CLIENT_CERT and GATEWRIT_CLIENT_KEY go together';
  return { cert: fromCert, key: fromKey };
}

/**
 * Reads and judges the pair before anything is sent: a gateway would only cut the connection.
 * @throws InternalError (outage) with a sentence
 */
export function readClientCertificate(files: CertificateFiles | null, now: { readonly utc: number }) {
  if (files === null) return undefined;
  const pair: ClientCertificate = { cert: readCertificate(files.cert), key: readKey(files.key) };
  const [fault] = judgeLeaf({ certificate: pair.cert, key: pair.key }, now, true).refused;
  if (fault !== undefined) throw unusable(`${files.cert} with ${files.key}: ${fault}`);
  return pair;
}

function readCertificate(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw unusable(`${file} cannot be read`, cause);
  }
}

function readKey(file: string): Buffer {
  try {
    return openSecret(`file:${file}`);
  } catch (cause) {
    if (cause instanceof SettingsError) throw unusable(cause.message, cause);
    throw cause;
  }
}

const unusable = (why: string, cause?: unknown) =>
  new InternalError('client_certificate.unusable', `the client certificate cannot be used: ${why}`, {
    kind: 'outage',
    cause,
  });

const HOW =
  'give one with --client-cert FILE --client-key FILE, or by GATEWRIT_CLIENT_CERT and GATEWRIT_CLIENT_KEY (paths)';
const CUT = /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/;

/**
 * What a broken connection says about our certificate, or null. Under TLS 1.3 the client has long finished its handshake
 * when the server says no: the alert comes at the first read, and is lost when the connection is reset before that.
 */
export function certificateDemand(cause: unknown, presented: boolean): string | null {
  const codes = codesOf(cause);
  if (codes.includes('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'))
    return `the gateway demands a client certificate: ${HOW}`;
  const alert = codes.some((code) => /^ERR_SSL_.*ALERT_(.*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code));
  if (!alert && !codes.some((code) => CUT.test(code))) return null;
  if (presented)
    return `the gateway ${alert ? 'refused' : 'ended the connection; it may not accept'} this client certificate: it must be current, for clients, and issued by an authority of transport.clients.ca`;
  return `the gateway ended the connection; if it demands a client certificate, ${HOW}`;
}

/** fetch wraps what happened to the connection, once or twice. */
function codesOf(cause: unknown): string[] {
  const codes: string[] = [];
  for (let at = cause, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++)
    codes.push(String((at as NodeJS.ErrnoException).code ?? ''));
  return codes;
}
