import { InternalError } from '../../../core/internal-error.ts';
import { parseEnvelope } from '../format/envelope.ts';
import type { Frame } from '../format/frame.ts';

/** Is this the last leaf of a tree? An envelope holds nothing but what we wrote: most are told apart without parsing. */
export function isRetirement({ envelope }: Pick<Frame, 'envelope'>): boolean {
  return envelope.includes('"retirement"') && parseEnvelope(envelope)?.kind === 'retirement';
}

/** A replica whose trees have ended stays ended: what came after would be taken for forged. */
export function retired(replica: string): InternalError {
  return new InternalError(
    'audit.retired',
    `the replica ${replica} was retired: its log has ended for good; start this process as another replica`,
    { kind: 'outage' },
  );
}
