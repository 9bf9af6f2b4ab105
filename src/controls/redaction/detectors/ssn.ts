import { SSN_WORDS, says } from '../context.ts';
import { type Cluster, standsAlone } from '../digits.ts';
import type { Found, Place } from '../types.ts';

/** Area, group and serial the Social Security Administration could have issued. */
export function isSsn(digits: string): boolean {
  if (!/^\d{9}$/.test(digits)) return false;
  const area = digits.slice(0, 3);
  return area !== '000' && area !== '666' && area < '900' && digits.slice(3, 5) !== '00' && digits.slice(5) !== '0000';
}

/** US social security numbers: 3-2-4 with dashes, with other separators or none only in context. */
export function findSsns(text: string, found: readonly Cluster[], place: Place): Found[] {
  const ssns: Found[] = [];
  for (const cluster of found) {
    for (let first = 0; first < cluster.length; first++) {
      const [a, b, c] = cluster.slice(first, first + 3);
      const bare = a!.digits.length === 9;
      const split = a!.digits.length === 3 && b?.digits.length === 2 && c?.digits.length === 4 && b.gap === c.gap;
      if (!bare && !split) continue;
      const end = bare ? a!.end : c!.end;
      const digits = bare ? a!.digits : a!.digits + b!.digits + c!.digits;
      if (!isSsn(digits) || !standsAlone(text, a!.start, end) || joinedTo(cluster, first, bare ? 1 : 3)) continue;
      const dashed = split && b!.gap === '-';
      if (!dashed && !place.known?.digits.has(digits) && !says(SSN_WORDS, place, text, a!.start)) continue;
      const rule = dashed ? 'ssn.dashed' : 'ssn.context';
      ssns.push({ type: 'US_SSN', start: a!.start, end, rule, value: digits, contextual: !dashed });
    }
  }
  return ssns;
}

/** Part of a longer dashed number such as 123-45-6789-0. */
function joinedTo(cluster: Cluster, first: number, count: number): boolean {
  const tight = (gap: string | undefined) => gap === '-' || gap === '.';
  return (first > 0 && tight(cluster[first]!.gap)) || tight(cluster[first + count]?.gap);
}
