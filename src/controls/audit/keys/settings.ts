import { z } from 'zod';
import { secretReference } from '../../../core/settings.ts';

export const transitSettings = z
  .strictObject({
    url: z
      .url({ protocol: /^https$/ })
      .describe('Address of Vault or OpenBao, https only, e.g. https://vault.internal:8200.'),
    key: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,100}$/)
      .describe('Name of the key in the transit engine (aes256-gcm96 or chacha20-poly1305). It never leaves it.'),
    mount: z
      .string()
      .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/)
      .default('transit')
      .describe('Where the transit engine is mounted.'),
    token: secretReference.describe('The token, by reference; it needs update on encrypt/KEY and decrypt/KEY alone.'),
    namespace: z
      .string()
      .regex(/^[A-Za-z0-9_/-]{1,200}$/)
      .optional()
      .describe('Namespace, where the server has them.'),
    ca: z.string().optional().describe('PEM file of the authority that signed its certificate; default: the system.'),
  })
  .describe('The KEK is wrapped by a key of Vault or OpenBao.');

export const kekSettings = z
  .union([secretReference.describe('A JWK Set: file:PATH or env:NAME.'), z.strictObject({ transit: transitSettings })])
  .optional()
  .describe(
    'Where the key encryption key is: file:PATH, env:NAME, or {transit: …}. Default: <home>/keys/audit-kek.jwks. A KMS is asked at the start and when the key is rotated, never by a call.',
  );

export type TransitSettings = z.output<typeof transitSettings>;
export type KekSettings = z.output<typeof kekSettings>;
