import { z } from 'zod';

export const errorsSettings = z
  .strictObject({
    maxMessageCharacters: z
      .int()
      .min(80)
      .max(100_000)
      .default(2_000)
      .describe('Longest message of an upstream error that is told; longer ones are cut.'),
    allowVerbatim: z
      .boolean()
      .default(true)
      .describe('Whether manifests may ask for `errors: verbatim`; otherwise such targets are scrubbed.'),
  })
  .prefault({});

export type ErrorsSettings = z.output<typeof errorsSettings>;
