const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** ms UTC of `2026-11-22T10:00:00Z`, `2026-11-22` (its beginning, UTC) or `2h` (that long before `now`); null: none of these. */
export function timeFrom(text: string, now: number): number | null {
  const ago = /^([0-9]{1,9})([smhdw])$/.exec(text);
  if (ago) return now - Number(ago[1]) * UNITS[ago[2]!]!;
  if (
    !/^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))?$/.test(
      text,
    )
  )
    return null;
  const time = Date.parse(text.toUpperCase());
  // Date.parse would take 30 February for 2 March.
  if (Number.isNaN(time) || !sameDay(text)) return null;
  return time;
}

function sameDay(text: string): boolean {
  const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number];
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day && month <= 12;
}
