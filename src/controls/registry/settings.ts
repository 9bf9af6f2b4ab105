import { z } from 'zod';
import { SERVER_NAME } from './manifest.ts';

/** Section `registry` of gatewrit.yaml. */
export const registrySettings = z.strictObject({
  trust: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'JWK Set files of public operator keys; when given, only these sign manifests and the gateway holds no private operator key.',
    ),
  tenants: z
    .record(z.string().regex(SERVER_NAME), z.array(z.string().min(1)))
    .default({})
    .describe(
      'Which tenants may see a server; a server not named here belongs to tenant "default". An empty list means nobody.',
    ),
  unobserved: z
    .enum(['withhold', 'serve'])
    .default('withhold')
    .describe(
      'Pins of a server that has not been seen live since the start: withheld (default), or served, which shows as weak.',
    ),
  observeEverySeconds: z
    .number()
    .int()
    .min(1)
    .max(3600)
    .default(30)
    .describe(
      'How often a connected server is compared with its pins, besides at connection and at its change notices.',
    ),
  pageSize: z.number().int().min(1).max(1000).default(100).describe('Most entries on one page of a list.'),
  listTtlSeconds: z
    .number()
    .int()
    .min(0)
    .max(60)
    .default(30)
    .describe('How long a client may keep a list; never beyond the life of its token.'),
  instructions: z
    .string()
    .max(8192)
    .optional()
    .describe('Our own words for clients of /mcp, in server/discover; words of servers are never passed on.'),
});
export type RegistrySettings = z.output<typeof registrySettings>;

/** What is relaxed, in the words `check`, console and records use. Empty: nothing. */
export function weakRegistry(settings: RegistrySettings): readonly string[] {
  return settings.unobserved === 'serve'
    ? ['registry.unobserved is serve: pins are served before their server was compared with them']
    : [];
}
