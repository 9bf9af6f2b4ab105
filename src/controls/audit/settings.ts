import { z } from 'zod';
import { kekSettings } from './keys/settings.ts';
import { rollupMsSetting } from './rollup/settings.ts';
import { sinksSettings } from './sinks/settings.ts';
import { witnessSettings } from './witness/settings.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

export const auditSettings = z
  .strictObject({
    replyBytes: z
      .int()
      .min(0)
      .max(8 * MIB)
      .default(16 * 1024)
      .describe(
        'Replies up to this many bytes are kept, sealed, in the outcome record; of larger ones the digest only.',
      ),
    volumeBytes: z
      .int()
      .min(MIB)
      .default(64 * GIB)
      .describe(
        'Bytes of journal one process may fill. Then calls are refused; outcomes of running calls are still kept.',
      ),
    segmentBytes: z
      .int()
      .min(64 * 1024)
      .max(GIB)
      .default(GIB)
      .describe('A segment file that has grown to this many bytes is followed by a new one, under new keys.'),
    segmentMs: z
      .int()
      .min(1_000)
      .max(86_400_000)
      .default(86_400_000)
      .describe('A segment older than this, ms, is followed by a new one, under new keys.'),
    checkpointMs: z
      .int()
      .min(10)
      .max(60_000)
      .default(500)
      .describe('How often grown trees are signed, ms: what is younger can be rewritten by who holds the gateway.'),
    pendingBytes: z
      .int()
      .min(MIB)
      .default(64 * MIB)
      .describe('Bytes that may wait for the disk; more calls are refused.'),
    stallMs: z
      .int()
      .min(10)
      .default(5_000)
      .describe('When one commit takes longer than this, ms, further calls are refused until it ends.'),
    reserveBytes: z
      .int()
      .min(0)
      .default(MIB)
      .describe('Disk space set aside, so that "full, refusing" can still be recorded.'),
    receipts: z
      .boolean()
      .default(true)
      .describe('Every result bears a sealed receipt in _meta["gatewrit/receipt"], which audit prove opens.'),
    kek: kekSettings,
    sinks: sinksSettings,
    witness: witnessSettings,
    rollupMs: rollupMsSetting,
    strangers: z
      .strictObject({
        perSecond: z.int().min(1).default(10).describe('Refusals without a principal recorded one by one in a second.'),
        perMinute: z
          .int()
          .min(1)
          .default(120)
          .describe('The same in a minute; what comes beyond is one record with a count.'),
      })
      .prefault({})
      .describe('Callers nobody knows must not fill the log; they may use a tenth of volumeBytes at most.'),
  })
  .prefault({});

export type AuditSettings = z.output<typeof auditSettings>;
