import type { Finding } from '../../core/call.ts';
import { encodedLike } from './nested.ts';
import type { Treatment } from './treatment.ts';
import type { Found } from './types.ts';

/**
 * The text with everything replaced that is to be; null when it stays as it is.
 * @param note is told each finding and says what is done with it
 */
export function replaceIn(
  text: string,
  list: readonly Found[],
  treatment: Pick<Treatment, 'replacement'>,
  note: (found: Found) => Finding['action'],
): string | null {
  let out = '';
  let at = 0;
  for (const found of list) {
    const stand =
      found.inside === undefined
        ? ownReplacement(text, found, treatment, note)
        : insideReplacement(text, found, treatment, note);
    if (stand === null) continue;
    out += text.slice(at, found.start) + stand;
    at = found.end;
  }
  return at === 0 ? null : out + text.slice(at);
}

function ownReplacement(
  text: string,
  found: Found,
  treatment: Pick<Treatment, 'replacement'>,
  note: (found: Found) => Finding['action'],
): string | null {
  const action = note(found);
  if (action !== 'replaced' && action !== 'masked') return null;
  const stand = treatment.replacement(found);
  // A number behind `"name":` in text that shows JSON: with quotes what reads that text still can.
  return /["']\s{0,3}:\s{0,3}$/.test(text.slice(Math.max(0, found.start - 8), found.start)) ? `"${stand}"` : stand;
}

function insideReplacement(
  text: string,
  found: Found,
  treatment: Pick<Treatment, 'replacement'>,
  note: (found: Found) => Finding['action'],
): string | null {
  const inside = found.inside!;
  const named = inside.found.map((one) => ({ ...one, rule: `${one.rule}.base64` }));
  const cleaned = replaceIn(inside.text, named, treatment, note);
  return cleaned === null ? null : encodedLike(text.slice(found.start, found.end), cleaned);
}
