/** Groups of digits and what stands between them: cards, social security and phone numbers are read from these. */
export interface Group {
  readonly start: number;
  readonly end: number;
  readonly digits: string;
  /** What separates it from the group before in its cluster; '' for the first. */
  readonly gap: string;
}

/** Digit groups with at most three separators between two: a number as people write it. */
export type Cluster = readonly Group[];

const MAX_GAP = 3;
/** Longer clusters are tables of numbers; they are cut here, so that work stays linear. */
const MAX_GROUPS = 40;

/** All clusters with at least `least` digits, in order. Linear: every unit is looked at once. */
export function clusters(text: string, least: number): Cluster[] {
  const found: Cluster[] = [];
  let cluster: Group[] = [];
  let total = 0;
  const finish = () => {
    if (total >= least) found.push(cluster);
    cluster = [];
    total = 0;
  };
  for (let at = 0; at < text.length; ) {
    if (!isDigit(text.charCodeAt(at))) {
      at++;
      continue;
    }
    let end = at + 1;
    while (end < text.length && isDigit(text.charCodeAt(end))) end++;
    const last = cluster.at(-1);
    const gap = last === undefined ? '' : text.slice(last.end, Math.min(at, last.end + MAX_GAP + 1));
    if (last !== undefined && (gap.length > MAX_GAP || cluster.length >= MAX_GROUPS || !isGap(gap))) finish();
    cluster.push({ start: at, end, digits: text.slice(at, end), gap: cluster.length === 0 ? '' : gap });
    total += end - at;
    at = end;
  }
  finish();
  return found;
}

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isGap(gap: string): boolean {
  for (let i = 0; i < gap.length; i++) if (!' -.()/+'.includes(gap[i]!)) return false;
  return true;
}

/** The number does not go on to the left or right as a word, an identifier or a decimal. */
export function standsAlone(text: string, start: number, end: number): boolean {
  const before = text[start - 1] ?? ' ';
  const after = text[end] ?? ' ';
  if (/[\p{L}\p{N}_]/u.test(before) || /[\p{L}\p{N}_]/u.test(after)) return false;
  // 0.4111… and 4111….5 (a comma may be a column of CSV), then a-4111 and 4111-a as in identifiers.
  if (before === '.' && isDigit(text.charCodeAt(start - 2))) return false;
  if (after === '.' && isDigit(text.charCodeAt(end + 1))) return false;
  if (before === '-' && /[A-Za-z0-9_]/.test(text[start - 2] ?? '')) return false;
  return !(after === '-' && /[A-Za-z0-9_]/.test(text[end + 1] ?? ''));
}
