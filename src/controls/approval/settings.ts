import { z } from 'zod';

/** After the last approval the caller has this long to repeat the call. */
export const EXECUTION_WINDOW_MS = 2 * 60_000;
/** No approval is ever usable later than this after it was asked for. */
export const TOTAL_WINDOW_MS = 15 * 60_000;
/** How long an identical repeat gets the stored outcome instead of a second execution. */
export const REPLAY_WINDOW_MS = 2 * 60_000;
/** How long a call whose outcome is unknown blocks the same call; longer when the tool's own time limit is longer. */
export const UNKNOWN_HOLD_MS = 15 * 60_000;

const account = z.strictObject({
  issuer: z.string().min(1).describe('Issuer of the account, as tokens name it.'),
  subject: z.string().min(1).describe('Subject at that issuer.'),
});

const rule = z.strictObject({
  approvers: z
    .strictObject({
      groups: z
        .array(z.string().min(1))
        .describe('Groups whose members may decide. An empty list means nobody, and the call can never run.'),
    })
    .describe('Who may decide. The requester never may, whatever his groups.'),
  quorum: z.int().min(1).max(10).default(1).describe('How many different people must approve. One denial ends it.'),
});

export const approvalSettings = z.strictObject({
  rules: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'a rule is a word: a-z 0-9 _ -'), rule)
    .default({ destructive: { approvers: { groups: ['approvers'] }, quorum: 1 } })
    .describe('Approval rules by the name policy uses. A rule that policy names and this list lacks refuses the call.'),
  decisionMinutes: z
    .int()
    .min(5)
    .max(15)
    .default(10)
    .describe('How long a request waits for people, in minutes (5 to 15). The time is never extended.'),
  maxPending: z
    .int()
    .min(1)
    .max(100)
    .default(20)
    .describe('How many requests of one principal may wait at once; more are refused, so that nobody can be flooded.'),
  owners: z
    .record(z.string().min(1), z.array(account))
    .default({})
    .describe('Owners of agents by OAuth client id. An owner counts as the requester of what his agent asks for.'),
  volatileMeta: z
    .array(z.string().min(1))
    .default(['claudecode/toolUseId'])
    .describe('Members of params._meta that differ between identical calls and mean nothing to the tool; not bound.'),
});

export type ApprovalSettings = z.output<typeof approvalSettings>;
export type ApprovalRule = ApprovalSettings['rules'][string];

/** The rule of that name, or null: a name from policy never reaches what objects inherit. */
export function ruleOf(settings: ApprovalSettings, name: string): ApprovalRule | null {
  return Object.hasOwn(settings.rules, name) ? settings.rules[name]! : null;
}
