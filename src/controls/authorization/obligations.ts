import type { Obligations } from '../../core/call.ts';
import type { Rule } from './rules.ts';

const NONE: Obligations = Object.freeze({ approval: null, redaction: null, maxResultBytes: null });

/**
 * What the satisfied obligation rules ask for together. The smallest cap holds. Two rules that name different
 * approval rules or redaction profiles cannot both be met, and choosing would be a decision in code.
 * @returns the obligations, or a sentence that names the rules that disagree
 */
export function obligationsOf(rules: readonly Rule[]): Obligations | string {
  if (rules.length === 0) return NONE;
  let approval: string | null = null;
  let redaction: string | null = null;
  let maxResultBytes: number | null = null;
  for (const { id, obligation } of rules) {
    if (obligation?.kind === 'approval') {
      if (approval !== null && approval !== obligation.rule)
        return `obligation ${id} names another approval rule than ${approval}`;
      approval = obligation.rule;
    } else if (obligation?.kind === 'redaction') {
      if (redaction !== null && redaction !== obligation.profile)
        return `obligation ${id} names another profile than ${redaction}`;
      redaction = obligation.profile;
    } else if (obligation?.kind === 'cap') {
      maxResultBytes = Math.min(maxResultBytes ?? obligation.bytes, obligation.bytes);
    }
  }
  return Object.freeze({ approval, redaction, maxResultBytes });
}
