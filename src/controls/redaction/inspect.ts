import type { Finding } from '../../core/call.ts';
import { detect, featuresOf, type Rules } from './detect.ts';
import { scanDocument } from './document.ts';
import { replaceIn } from './replace.ts';
import type { RedactionSettings } from './settings.ts';
import { marker } from './token.ts';
import { type Found, NO_PLACE } from './types.ts';

/** A finding for the person who asked, with the value in clear: never for a record, log or answer. */
export interface Inspected extends Finding {
  readonly value: string;
}

/**
 * What would be found in a JSON document or, when it is none, in a text, and what would be done in an answer.
 * @param json the content is valid JSON
 */
export function inspect(content: string, json: boolean, settings: RedactionSettings): Inspected[] {
  const list: Inspected[] = [];
  const rules: Rules = {
    phoneRegions: settings.phoneRegions,
    keepPrivateAddresses: settings.privateAddresses === 'report',
    cutAllHiddenText: settings.hiddenText === 'remove',
  };
  const actionOf = (found: Found): Finding['action'] => {
    const action = found.quiet === true ? 'report' : (settings.types[found.type] ?? 'replace');
    return action === 'replace' ? 'replaced' : action === 'block' ? 'blocked' : 'reported';
  };
  const replacement = (found: Found) => marker(found.type);
  if (!json) {
    const found = detect(content, featuresOf(content), NO_PLACE, rules, 'whole');
    replaceIn(content, found, { replacement }, (one) => {
      list.push({
        type: one.type,
        path: lineOf(content, one),
        rule: one.rule,
        action: actionOf(one),
        value: one.value || content.slice(one.start, one.end),
      });
      return 'reported';
    });
    return list;
  }
  const values: string[] = [];
  const { findings } = scanDocument(Buffer.from(content), {
    rules,
    replacement,
    depth: () => 'whole',
    action: (found) => {
      values.push(found.value);
      return actionOf(found);
    },
  });
  return findings.map((finding, i) => ({ ...finding, value: values[i] ?? '' }));
}

function lineOf(content: string, found: Found): string {
  let line = 1;
  for (let at = content.indexOf('\n'); at >= 0 && at < found.start; at = content.indexOf('\n', at + 1)) line++;
  return `line ${line}`;
}
