import type { Finding, Target } from '../../core/call.ts';
import { declaresSecret } from './declared.ts';
import type { DepthOf } from './depths.ts';
import { isSecret, type Rules } from './detect.ts';
import { PROFILES, type Profile, type RedactionSettings } from './settings.ts';
import type { Tokeniser } from './token.ts';
import type { Treatment } from './treatment.ts';

const ACTIONS = { replace: 'replaced', report: 'reported', block: 'blocked' } as const satisfies Record<
  string,
  Finding['action']
>;

/** Whether something was, or in observe mode would have been, blocked. */
export interface Noted {
  blocked: boolean;
}

/** What settings make of what is found, by the way it goes. */
export interface Treatments {
  readonly rules: Rules;
  /** From a server to a client: replaced, unless settings say otherwise. */
  outgoing(tenant: string, depth: DepthOf): Treatment;
  /** Arguments to a server: a secret goes only where the pinned schema, or settings, declare one. */
  incoming(target: Target, noted: Noted): Treatment;
  /** What no schema of ours describes (`_meta`, answers to questions): nothing in it is declared. */
  undeclared(target: Target, noted: Noted, depth: DepthOf): Treatment;
}

export function treatmentsOf(settings: RedactionSettings, tokeniser: Tokeniser): Treatments {
  const rules: Rules = {
    phoneRegions: settings.phoneRegions,
    keepPrivateAddresses: settings.privateAddresses === 'report',
    cutAllHiddenText: settings.hiddenText === 'remove',
  };
  const observe = settings.mode === 'observe';
  const whole = () => 'whole' as const;

  /** In observe mode what would have been blocked is reported, and remembered for the record. */
  const blocked = (noted: Noted): Finding['action'] => {
    noted.blocked = true;
    return observe ? 'reported' : 'blocked';
  };

  return {
    rules,
    outgoing: (tenant, depth) => ({
      rules,
      depth,
      replacement: (found) => tokeniser.replacement(found, tenant),
      action: (found) => (observe ? 'reported' : ACTIONS[settings.types[found.type] ?? 'replace']),
    }),
    incoming: (target, noted) => ({
      rules,
      depth: whole,
      replacement: (found) => tokeniser.replacement(found, target.tenant),
      action(found, segments) {
        if (!isSecret(found) || settings.requestSecrets === 'report') return 'reported';
        if (declaresSecret(target, segments, settings.secretFields[target.key] ?? [])) return 'reported';
        return blocked(noted);
      },
    }),
    undeclared: (target, noted, depth) => ({
      rules,
      depth,
      replacement: (found) => tokeniser.replacement(found, target.tenant),
      action: (found) => (!isSecret(found) || settings.requestSecrets === 'report' ? 'reported' : blocked(noted)),
    }),
  };
}

/** Policy may force a profile by name; one we do not know is not guessed at: null. */
export function profileOf(forced: string | null, settings: RedactionSettings): Profile | null {
  if (forced === null) return settings.profile;
  return PROFILES.find((profile) => profile === forced) ?? null;
}
