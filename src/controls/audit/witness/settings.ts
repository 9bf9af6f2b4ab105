import { z } from 'zod';
import { parseWitnessLine } from '../../../core/crypto/cosignature.ts';

const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\])$/;

/** More would make a file and a start slow, and say no more. */
const MAX_OTHERS = 14;

const url = z
  .url({ protocol: /^https?$/, abort: true })
  .refine((text) => {
    const { protocol, hostname, username, password, search, hash } = new URL(text);
    const isPlain = username === '' && password === '' && search === '' && hash === '';
    return isPlain && (protocol === 'https:' || LOOPBACK.test(hostname));
  }, 'must be https (http on loopback only), without user, password or query')
  .describe('Submission prefix of the witness: `/add-checkpoint` is put behind it.');
const key = z
  .string()
  .refine((line) => parseWitnessLine(line) !== null, 'must be the line name+hash+key that the witness printed')
  .describe(
    'Public key of the witness, as `gatewrit audit witness --init` prints it. A cosignature by another one counts for nothing.',
  );
const ca = z
  .string()
  .optional()
  .describe('PEM file with the certificate authority of the witness, when it is your own.');

export const witnessSettings = z
  .strictObject({
    url,
    key,
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
    ca,
    others: z
      .array(z.strictObject({ url, key, ca }))
      .max(MAX_OTHERS)
      .default([])
      .describe('Further witnesses, each in a domain of its own: one of them may be away then. See quorum.'),
    quorum: z
      .int()
      .min(1)
      .optional()
      .describe('How many witnesses must cosign, more than half of all. Left out: the smallest such number.'),
  })
  .refine(
    ({ everyMs, deadlineMs, required }) => !required || deadlineMs >= 2 * everyMs,
    'deadlineMs of a required witness must be at least twice everyMs',
  )
  .refine(
    // Two halves could each cosign another history, and both would count.
    ({ others, quorum }) => quorum === undefined || (quorum * 2 > others.length + 1 && quorum <= others.length + 1),
    { path: ['quorum'], message: 'must be more than half of the witnesses, and no more than there are' },
  )
  .refine(
    ({ key, others }) => new Set([key, ...others.map((other) => other.key)].map(nameOf)).size === others.length + 1,
    {
      path: ['others'],
      message: 'each witness must be there once: another key under the same name is the same witness',
    },
  )
  .optional()
  .describe('A witness in another administrative domain that cosigns the log when it only grew (C2SP tlog-witness).');

export type WitnessSettings = NonNullable<z.output<typeof witnessSettings>>;

export interface OneWitness {
  readonly url: string;
  readonly key: string;
  readonly ca?: string | undefined;
}

export function allWitnesses({ url, key, ca, others }: WitnessSettings): readonly OneWitness[] {
  return [{ url, key, ca }, ...others];
}

/** How many of them must cosign. */
export function quorumOf({ others, quorum }: WitnessSettings): number {
  return quorum ?? Math.floor((others.length + 1) / 2) + 1;
}

/** The name in a witness's line. */
function nameOf(key: string): string {
  return key.split('+')[0]!;
}

/** `witness a`, `witnesses a, b, c (2 of 3)`. */
export function witnessWords(settings: WitnessSettings): string {
  const names = allWitnesses(settings).map(({ key }) => nameOf(key));
  if (names.length === 1) return `witness ${names[0]}`;
  return `witnesses ${names.join(', ')} (${quorumOf(settings)} of ${names.length})`;
}
