import { z } from 'zod';
import { parseWitnessLine } from '../../../core/crypto/cosignature.ts';

const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\])$/;

export const witnessSettings = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .refine((text) => {
        const { protocol, hostname, username, password, search, hash } = new URL(text);
        const isPlain = username === '' && password === '' && search === '' && hash === '';
        return isPlain && (protocol === 'https:' || LOOPBACK.test(hostname));
      }, 'must be https (http on loopback only), without user, password or query')
      .describe('Submission prefix of the witness: `/add-checkpoint` is put behind it.'),
    key: z
      .string()
      .refine((line) => parseWitnessLine(line) !== null, 'must be the line name+hash+key that the witness printed')
      .describe(
        'Public key of the witness, as `gatewrit audit witness --init` prints it. A cosignature by another one counts for nothing.',
      ),
    required: z
      .boolean()
      .default(true)
      .describe('Further calls are refused while what is signed waits longer than deadlineMs for its cosignature.'),
    everyMs: z
      .int()
      .min(1_000)
      .max(3_600_000)
      .default(10_000)
      .describe(
        'How often grown trees are shown to the witness, ms: what is younger can be rewritten by who holds the gateway.',
      ),
    deadlineMs: z.int().min(1_000).max(86_400_000).default(60_000).describe('See required, ms.'),
    timeoutMs: z.int().min(100).max(60_000).default(5_000).describe('How long one answer may take, ms.'),
    ca: z.string().optional().describe('PEM file with the certificate authority of the witness, when it is your own.'),
  })
  .refine(
    ({ everyMs, deadlineMs, required }) => !required || deadlineMs >= 2 * everyMs,
    'deadlineMs of a required witness must be at least twice everyMs',
  )
  .optional()
  .describe('A witness in another administrative domain that cosigns the log when it only grew (C2SP tlog-witness).');

export type WitnessSettings = NonNullable<z.output<typeof witnessSettings>>;
