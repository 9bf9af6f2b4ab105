import { z } from 'zod';
import { TYPES } from './types.ts';

/** `none` looks at nothing and shows as weak. Policy may force either for one call (obligation `redaction`). */
export const PROFILES = ['default', 'none'] as const;
export type Profile = (typeof PROFILES)[number];

export const redactionSettings = z.strictObject({
  profile: z
    .enum(PROFILES)
    .default('default')
    .describe('What is done when policy says nothing. `none` passes everything unread: weak.'),
  mode: z
    .enum(['enforce', 'observe'])
    .default('enforce')
    .describe('`observe` only reports what would be replaced or blocked, for roll-out: weak.'),
  types: z
    .partialRecord(z.enum(TYPES), z.enum(['replace', 'report', 'block']))
    .default({})
    .describe('What is done in answers with one type: replace it (default), only report it, or refuse the answer.'),
  requestSecrets: z
    .enum(['block', 'report'])
    .default('block')
    .describe('What is done with a secret in arguments whose field does not declare one. `report` is weak.'),
  secretFields: z
    .record(z.string(), z.array(z.string().startsWith('/')))
    .default({})
    .describe('Fields that take a secret, by tool: {"server/tool": ["/password"]}. A `*` stands for one member.'),
  privateAddresses: z
    .enum(['report', 'replace'])
    .default('report')
    .describe('Loopback, private and link-local IP addresses in answers.'),
  hiddenText: z
    .enum(['report', 'remove'])
    .default('report')
    .describe('Zero-width and bidi controls in answers. Tag characters and terminal escapes are always removed.'),
  phoneRegions: z
    .array(z.string().regex(/^[A-Z]{2}$/, 'an ISO 3166 code such as US'))
    .max(8)
    .default(['US'])
    .describe('Countries whose national phone numbers are recognised as the same number as their international form.'),
});
export type RedactionSettings = z.output<typeof redactionSettings>;

/** What `check`, console and records show as weak. */
export function redactionWeaknesses(settings: RedactionSettings): string[] {
  const weak: string[] = [];
  if (settings.profile === 'none') weak.push('redaction.profile: none, nothing is looked for');
  if (settings.mode === 'observe') weak.push('redaction.mode: observe, nothing is replaced or blocked');
  if (settings.requestSecrets === 'report')
    weak.push('redaction.requestSecrets: report, secrets may leave in arguments');
  for (const [type, action] of Object.entries(settings.types)) {
    if (action === 'report') weak.push(`redaction.types.${type}: report, values pass`);
  }
  return weak;
}
