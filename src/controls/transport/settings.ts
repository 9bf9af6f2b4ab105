import { z } from 'zod';
import { secretReference } from '../../core/settings.ts';

const ms = (value: number, what: string) => z.int().min(10).max(3_600_000).default(value).describe(`${what}, ms.`);

export const transportSettings = z
  .strictObject({
    hosts: z
      .array(z.string().regex(/^[a-z0-9.[\]:-]+$/, 'must be a lower-case host, with its port unless that is 443'))
      .default([])
      .describe('Further values of the Host header that are us, e.g. `mcp.example.com`. The public URL always is.'),
    origins: z
      .array(z.string().regex(/^https?:\/\/[a-z0-9.[\]:-]+$/, 'must be an origin: scheme, host, port, nothing else'))
      .default([])
      .describe('Web origins whose pages may call. Empty: only pages we served ourselves.'),
    tls: z
      .strictObject({
        certificate: z.string().min(1).describe('Path of the certificate chain, PEM.'),
        key: secretReference.describe('Its private key, PEM: `file:PATH` (mode 0600) or `env:NAME`.'),
        reloadSeconds: z
          .int()
          .min(0)
          .max(86_400)
          .default(10)
          .describe(
            'How often these files (and `clients.ca`) are looked at; a good new pair is served from then on. 0: never.',
          ),
      })
      .optional()
      .describe('The TLS leaf. Development makes its own.'),
    clients: z
      .strictObject({
        certificates: z
          .enum(['off', 'optional', 'required'])
          .default('off')
          .describe('Whether clients are asked for a certificate.'),
        ca: z
          .string()
          .min(1)
          .optional()
          .describe(
            'Path of the CA certificates that issue client certificates, PEM; a relative one starts at the home folder.',
          ),
      })
      .refine((clients) => clients.certificates === 'off' || clients.ca !== undefined, {
        path: ['ca'],
        message: 'is needed to verify client certificates',
      })
      .prefault({})
      .describe('Mutual TLS.'),
    maxBodyBytes: z.int().min(1_024).max(268_435_456).default(1_048_576).describe('Largest request body, bytes.'),
    bodyTimeoutMs: ms(15_000, 'From the first look at a body to its last byte'),
    headersTimeoutMs: ms(8_000, 'From the first byte of a request to the end of its head'),
    requestTimeoutMs: ms(30_000, 'From the first byte of a request to the last of its body'),
    handshakeTimeoutMs: ms(8_000, 'For the TLS handshake'),
    keepAliveTimeoutMs: ms(30_000, 'How long an idle connection is kept'),
    writeTimeoutMs: ms(20_000, 'How long a peer may take without reading anything of an answer'),
    lingerMs: ms(1_000, 'How long an early answer stays readable before its connection is cut'),
    maxHeaderBytes: z.int().min(1_024).max(65_536).default(16_384).describe('Largest request head, bytes.'),
    maxHeaders: z.int().min(16).max(1_000).default(64).describe('Most header lines of a request.'),
    maxConnections: z.int().min(1).default(8_192).describe('Open connections per listener and process.'),
    maxRequestsPerConnection: z.int().min(0).default(0).describe('Requests on one connection; 0: no bound.'),
    hstsMaxAgeSeconds: z.int().min(0).default(31_536_000).describe('max-age of Strict-Transport-Security, seconds.'),
  })
  .refine((s) => s.headersTimeoutMs <= s.requestTimeoutMs, {
    path: ['headersTimeoutMs'],
    message: 'must not be above requestTimeoutMs',
  })
  .prefault({});

export type TransportSettings = z.output<typeof transportSettings>;

/** What is relaxed, in the words `check`, console and records use. Empty: nothing. */
export function weakTransport(settings: TransportSettings): readonly string[] {
  const weak: string[] = [];
  if (settings.hstsMaxAgeSeconds < 15_768_000) weak.push('transport.hstsMaxAgeSeconds is under half a year');
  const plain = settings.origins.filter((origin) => origin.startsWith('http://'));
  if (plain.length > 0) weak.push(`transport.origins lists pages loaded without TLS: ${plain.join(', ')}`);
  if (settings.maxBodyBytes > 16_777_216) weak.push('transport.maxBodyBytes is above 16 MiB');
  for (const key of [
    'bodyTimeoutMs',
    'headersTimeoutMs',
    'requestTimeoutMs',
    'handshakeTimeoutMs',
    'writeTimeoutMs',
  ] as const) {
    if (settings[key] > 120_000)
      weak.push(`transport.${key} is above two minutes: slow peers hold connections that long`);
  }
  return weak;
}
