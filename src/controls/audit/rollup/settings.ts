import { z } from 'zod';

export const rollupMsSetting = z
  .int()
  .min(1_000)
  .max(86_400_000)
  .default(60_000)
  .describe(
    'How often the checkpoints of all replicas of this home are brought into one tree for each tenant, ms: order across replicas is proved to that.',
  );
