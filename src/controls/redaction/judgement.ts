import type { Finding } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import { type Scanned, survivingSecret } from './document.ts';
import type { Treatment } from './treatment.ts';

export const UNKNOWN_PROFILE = 'policy names a redaction profile that does not exist';

/** A blocked finding, or a secret that survived: then nothing leaves. */
export function judge(scanned: Scanned, before: Uint8Array, treatment: Treatment): Refusal | null {
  if (scanned.blocked !== null) return block(scanned.blocked);
  if (scanned.bytes === before) return null;
  const survivor = survivingSecret(scanned, treatment);
  return survivor === null ? null : block(survivor);
}

export function block(finding: Finding): Refusal {
  return new Refusal('redaction.blocked', { path: finding.path, evidence: `${finding.type} by ${finding.rule}` });
}
