import { z } from 'zod';

/** Signature algorithms an issuer may be allowed. No symmetric ones: a public key can then never be a secret. */
export const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export const TOKEN_TYPES = ['at+jwt', 'JWT', 'absent'] as const;

/** A tenant becomes part of keys and folder names, so it is lower case and starts with a letter or digit. */
export const TENANT = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** Refusals before authentication are booked on this tenant; no token may claim it. */
export const RESERVED_TENANT = 'system';

const tenant = z
  .string()
  .regex(TENANT, 'a tenant is 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit')
  .refine((name) => name !== RESERVED_TENANT, `"${RESERVED_TENANT}" is reserved`);
/** The name of a claim, or a JSON Pointer (RFC 6901) to a member inside one: `/realm_access/roles`. */
const claim = z
  .string()
  .min(1)
  .max(256)
  .regex(/^([^/].*|(\/([^/~]|~[01])+)+)$/s, 'a claim that begins with "/" is a JSON Pointer: /claim/member');
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'not a scope (RFC 6749 section 3.3)');

export const issuerSettings = z.strictObject({
  issuer: z.url().describe('The issuer, byte for byte as tokens name it in `iss`; https.'),
  jwks: z
    .string()
    .regex(/^(file:.+|https?:\/\/.+)$/, 'must be file:PATH or an https URL')
    .describe('Where its public keys are: an https URL, or file:PATH (relative paths start at the home folder).'),
  algorithms: z
    .array(z.enum(ALGORITHMS))
    .min(1)
    .default(['ES256', 'RS256', 'PS256', 'EdDSA'])
    .describe('Signature algorithms taken from this issuer; checked before any key is looked up.'),
  audiences: z
    .array(z.string().min(1))
    .default([])
    .describe(
      "Audiences taken besides the endpoint's own resource. Leave it empty: each one widens what a token opens.",
    ),
  typ: z
    .array(z.enum(TOKEN_TYPES))
    .min(1)
    .default(['at+jwt', 'JWT'])
    .describe('Token types taken (header `typ`). Only `at+jwt` where the issuer follows RFC 9068.'),
  claims: z
    .strictObject({
      subject: claim.default('sub').describe('Claim that names the person or workload.'),
      scopes: z
        .array(claim)
        .min(1)
        .default(['scope', 'scopes', 'scp'])
        .describe('Claims with scopes; the first present counts.'),
      groups: z
        .union([claim, z.array(claim).min(1)])
        .default('groups')
        .describe('Claim with group or role names, or several: all that are present count.'),
      tenant: claim
        .optional()
        .describe('Claim that names the tenant; a token without it is refused. Not with `tenant`.'),
      client: z
        .array(claim)
        .min(1)
        .default(['client_id', 'azp'])
        .describe('Claims with the OAuth client; the first present counts.'),
    })
    .prefault({})
    .describe('Which claims say what, each by its name or, inside a claim, by JSON Pointer: `/realm_access/roles`.'),
  tenant: tenant
    .optional()
    .describe('Tenant of everybody from this issuer; `default` when neither this nor claims.tenant is set.'),
  leewaySeconds: z
    .int()
    .min(0)
    .max(300)
    .default(30)
    .describe('How far clocks may differ when exp, nbf and iat are judged.'),
  maxTokenAgeSeconds: z
    .int()
    .min(60)
    .max(2_592_000)
    .default(86_400)
    .describe('Longest life (exp - iat) of a token that is taken.'),
});
export type IssuerSettings = z.output<typeof issuerSettings>;

export const authenticationSettings = z.strictObject({
  driver: z
    .enum(['jwt', 'anonymous'])
    .default('jwt')
    .describe('`anonymous` lets everybody in as one principal: loopback only, shown as weak.'),
  development: z
    .boolean()
    .default(false)
    .describe('Use the embedded development issuer. Loopback only, no other issuer, shown as weak.'),
  issuers: z.array(issuerSettings).default([]).describe('Issuers whose tokens are taken. Empty means nobody.'),
  anonymousScopes: z
    .array(scope)
    .default([])
    .describe('Scopes of the one principal of driver `anonymous`. Empty means none.'),
  cache: z
    .strictObject({
      entries: z.int().min(1).max(1_000_000).default(10_000).describe('Verified tokens remembered at most.'),
      seconds: z.int().min(1).max(3600).default(300).describe('How long a verified token is remembered at most.'),
    })
    .prefault({})
    .describe('Verified tokens, keyed by a digest of the whole token and the resource.'),
  jwks: z
    .strictObject({
      refreshSeconds: z
        .int()
        .min(1)
        .default(300)
        .describe('After this many seconds keys are fetched again, behind the call.'),
      boundSeconds: z
        .int()
        .min(1)
        .default(3600)
        .describe(
          'Keys older than this are not used: nobody gets in until the issuer answers. So long too the keys of a file that is gone or broken.',
        ),
      cooldownSeconds: z
        .int()
        .min(1)
        .default(30)
        .describe('Least time between two fetches, whatever key ids tokens name.'),
      timeoutMs: z.int().min(100).max(30_000).default(3000).describe('How long one fetch may take in all.'),
    })
    .refine((jwks) => jwks.refreshSeconds <= jwks.boundSeconds, 'refreshSeconds must not exceed boundSeconds')
    .prefault({})
    .describe('Keys fetched from issuers by URL.'),
  sessions: z
    .strictObject({
      hours: z
        .int()
        .min(1)
        .max(168)
        .default(24)
        .describe('Life of a session of a legacy client, from `initialize` on.'),
      remembered: z
        .int()
        .min(1)
        .max(1_000_000)
        .default(10_000)
        .describe('Opened session ids and log levels remembered at most; forgetting one costs a decryption.'),
      ended: z
        .int()
        .min(0)
        .max(1_000_000)
        .default(100_000)
        .describe(
          'Ended sessions remembered until they expire. When there is no room, DELETE is answered 405; 0: always.',
        ),
    })
    .prefault({})
    .describe('Sessions of legacy clients, sealed into `Mcp-Session-Id`. Never a credential.'),
  metadata: z
    .strictObject({
      resourceName: z
        .string()
        .min(1)
        .max(128)
        .default('Gatewrit')
        .describe('Name shown to people by clients (RFC 9728 resource_name).'),
      scopesSupported: z
        .array(scope.refine((name) => name !== 'offline_access', 'offline_access is no scope of a resource'))
        .default([])
        .describe(
          'Scopes named in the metadata document. Empty leaves them out: the challenge names what a call needs.',
        ),
    })
    .prefault({})
    .describe('The protected-resource metadata document.'),
});
export type AuthenticationSettings = z.output<typeof authenticationSettings>;
