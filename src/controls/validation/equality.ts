/**
 * A text that two JSON values share exactly when JSON Schema calls them equal: member order does not matter, 1 is 1.0.
 * Ajv's own comparison reads `constructor`, `valueOf` and `toString` of attacker-controlled objects; this one reads
 * own members only.
 */
export function equalityKey(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(equalityKey).join(',')}]`;
  const object = value as Readonly<Record<string, unknown>>;
  return `{${Object.keys(object)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${equalityKey(object[name])}`)
    .join(',')}}`;
}

/** `enum` and `const`: is the value one of these? */
export function oneOfValues(allowed: readonly unknown[]): (value: unknown) => boolean {
  const primitives = new Set(allowed.filter((value) => typeof value !== 'object' || value === null));
  const compound = new Set(allowed.filter((value) => typeof value === 'object' && value !== null).map(equalityKey));
  return (value) =>
    typeof value === 'object' && value !== null
      ? compound.size > 0 && compound.has(equalityKey(value))
      : primitives.has(value);
}

/** `uniqueItems`, in linear time: Ajv's pairwise comparison of 30,000 objects would take seconds. */
export function allDifferent(items: readonly unknown[]): boolean {
  const seen = new Set<string>();
  for (const item of items) {
    const size = seen.size;
    if (seen.add(equalityKey(item)).size === size) return false;
  }
  return true;
}
