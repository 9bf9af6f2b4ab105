import { z } from 'zod';

export const AUTHORIZATION_MODES = ['enforce', 'observe'] as const;

/** Section `authorization` of gatewrit.yaml. The policy itself is data: scopes.yaml and *.cedar files. */
export const authorizationSettings = z.strictObject({
  mode: z
    .enum(AUTHORIZATION_MODES)
    .default('enforce')
    .describe(
      'enforce refuses; observe lets a call through that only lacks scopes or is denied, and records would_refuse (shown as weak). Hidden targets, admin operations and policy faults are refused in both.',
    ),
  deadlineMs: z
    .int()
    .min(1)
    .max(10_000)
    .default(250)
    .describe('A judgement that took longer than this many milliseconds is thrown away and the call refused.'),
  cacheEntries: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe('Decisions and visibilities kept in memory, each; the least recently used go first.'),
});
export type AuthorizationSettings = z.output<typeof authorizationSettings>;
