import { z } from 'zod';

const windowOf = (limit: number, what: string) =>
  z
    .strictObject({
      limit: z.int().min(1).default(limit).describe('Sum of call costs accepted in any interval of one window.'),
      windowMs: z.int().min(100).max(86_400_000).default(60_000).describe('Length of the window, ms.'),
    })
    .prefault({})
    .describe(what);

const heldOf = (perPrincipal: number, max: number, what: string) =>
  z
    .strictObject({
      perPrincipal: z.int().min(0).max(10_000).default(perPrincipal).describe('Of one principal at a time; 0: none.'),
      max: z.int().min(0).max(1_000_000).default(max).describe('In one process at a time.'),
    })
    .prefault({})
    .describe(what);

export const limitsSettings = z
  .strictObject({
    driver: z
      .enum(['window', 'unlimited'])
      .default('window')
      .describe('`window`: sliding windows. `unlimited`: none; back-off, concurrency and maxInFlight stay (weak).'),
    principal: windowOf(1_200, 'Calls of one principal.'),
    tenant: windowOf(24_000, 'Calls of all principals of one tenant together.'),
    address: windowOf(12_000, 'Calls from one address (IPv6: one /64); behind a proxy that is the proxy.'),
    tool: windowOf(600, 'Calls of one tool by one principal, each with the cost its manifest gives it.'),
    events: windowOf(6_000, 'Notifications sent on to one principal.'),
    maxInFlight: z
      .int()
      .min(1)
      .default(4_096)
      .describe('Calls one process works on at a time; more are refused, strangers from three quarters of it on.'),
    maxConcurrentPerPrincipal: z.int().min(1).default(256).describe('Targets one principal has running at a time.'),
    streams: heldOf(8, 1_024, 'Streams that outlive a request: subscriptions/listen, GET of a session.'),
    waiting: heldOf(16, 1_024, 'Calls that wait for a client to answer a question of their server.'),
    backoff: z
      .strictObject({
        freeFailures: z.int().min(0).max(1_000).default(10).describe('Failed authentications without a wait.'),
        baseMs: z.int().min(1).default(500).describe('First wait, ms; doubles with each further failure.'),
        capMs: z.int().min(1).max(3_600_000).default(60_000).describe('Longest wait, ms.'),
        forgetMs: z
          .int()
          .min(1)
          .max(86_400_000)
          .default(120_000)
          .describe('Without a failure for this long, ms, everything is forgotten; at least capMs.'),
        trialsPerSecond: z
          .int()
          .min(1)
          .default(50)
          .describe('Credentials not verified before that are still looked at per second while their source waits.'),
      })
      .refine((b) => b.forgetMs >= b.capMs && b.capMs >= b.baseMs, 'baseMs ≤ capMs ≤ forgetMs must hold')
      .prefault({})
      .describe('Exponential back-off on failed authentication, per address (IPv6: per /64) and per claimed client.'),
  })
  .prefault({});

export type LimitsSettings = z.output<typeof limitsSettings>;

/** What is relaxed, in the words `check`, console and records use. Empty: nothing. */
export function weakLimits(settings: LimitsSettings): readonly string[] {
  return settings.driver === 'unlimited'
    ? ['limits.driver is unlimited: no window bounds how much a caller may ask']
    : [];
}
