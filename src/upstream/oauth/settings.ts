import { z } from 'zod';
import { secretReference } from '../../core/settings.ts';
import { REACHES } from './addresses.ts';

/** How this gateway gets a token as itself. All but the first need no person. */
export const GRANT_KINDS = ['authorization_code', 'client_credentials', 'workload', 'enterprise'] as const;
export type GrantKind = (typeof GRANT_KINDS)[number];

const CLIENT_KEY_ALGORITHMS = ['ES256', 'ES384', 'PS256', 'RS256', 'EdDSA'] as const;
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'a scope has no blanks, quotes or backslashes');
/** Never rewritten: issuers are compared character by character. */
const issuer = z
  .url({ protocol: /^https?$/ })
  .refine(
    (url) => /^(https:|http:\/\/(localhost|127\.0\.0\.1|\[::1\])([:/]|$))/.test(url),
    'must be https (http: only on this machine)',
  );

/** `http.oauth` of an upstream: how this gateway signs in there as itself. */
export const oauthSettings = z
  .strictObject({
    grant: z
      .enum(GRANT_KINDS)
      .default('authorization_code')
      .describe(
        'authorization_code: a person signs in once (gatewrit upstream sign-in NAME). client_credentials: clientId alone. workload: the JWT of this workload (RFC 7523). enterprise: an identity provider vouches (ID-JAG).',
      ),
    issuer: issuer
      .optional()
      .describe('The only authorization server to use; needed with clientId, which belongs to one. Compared exactly.'),
    clientId: z.string().min(1).optional().describe('Our id at that issuer; without it a registration is made there.'),
    clientSecret: secretReference.optional().describe('Our secret at that issuer.'),
    clientKey: secretReference.optional().describe('Our private key at that issuer, PKCS #8 PEM (private_key_jwt).'),
    clientKeyAlgorithm: z.enum(CLIENT_KEY_ALGORITHMS).default('ES256').describe('Signature made with clientKey.'),
    clientKeyId: z.string().optional().describe('kid of clientKey at that issuer.'),
    clientMetadataUrl: z
      .url({ protocol: /^https$/ })
      .optional()
      .describe('Where our client metadata document lies (gatewrit upstream client-metadata writes it).'),
    scopes: z
      .array(scope)
      .optional()
      .describe('What is asked for, and the most that ever is; without it, what the upstream names.'),
    dpop: z
      .enum(['auto', 'required', 'off'])
      .default('auto')
      .describe('Tokens bound to a key of ours (RFC 9449). auto: where upstream and issuer want them.'),
    reach: z
      .enum(REACHES)
      .default('public')
      .describe(
        'Where metadata of the upstream may lead. private: private addresses too. loopback: this machine too, there over http.',
      ),
    ca: z.string().optional().describe('PEM file of the authority that signs the certificates there.'),
    assertion: secretReference
      .optional()
      .describe('The JWT of this workload, or the ID token of the subject; read anew each time.'),
    identityProvider: z
      .strictObject({
        issuer: issuer.describe('Its issuer. Compared exactly.'),
        clientId: z.string().min(1).describe('Our id there.'),
        clientSecret: secretReference.optional().describe('Our secret there.'),
      })
      .optional()
      .describe('Grant enterprise: who vouches for the subject.'),
  })
  .superRefine((settings, context) => {
    const { grant, clientId, clientSecret, clientKey } = settings;
    const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (clientId && !settings.issuer)
      wrong('issuer', 'is needed with clientId: credentials go to the issuer they belong to, and to no other');
    if ((clientSecret || clientKey) && !clientId) wrong('clientId', 'is needed with clientSecret and clientKey');
    if (clientSecret && clientKey) wrong('clientSecret', 'give either clientSecret or clientKey');
    if (grant === 'client_credentials' && !clientSecret && !clientKey)
      wrong('grant', 'client_credentials needs clientId with clientSecret or clientKey');
    if ((grant === 'workload' || grant === 'enterprise') && !settings.assertion)
      wrong('assertion', `is needed with grant ${grant}`);
    if (grant === 'enterprise' && (!settings.identityProvider || !clientId))
      wrong('identityProvider', 'is needed with grant enterprise, and so is clientId');
  });
export type OAuthSettings = z.output<typeof oauthSettings>;
