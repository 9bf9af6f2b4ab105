import { type OpenRecord, plainRecord } from '../../../controls/audit/index.ts';

/** A record as JSON: every member by name, so that nothing goes out that was not meant to. `payload` only with `full`. */
/** The same with what its payload holds, as text. */
export function wholeRecord(record: OpenRecord): object {
  const { payload } = record;
  const items = payload && Object.fromEntries([...payload].map(([name, bytes]) => [name, bytes.toString('utf8')]));
  const { notes, ...rest } = plainRecord(record);
  return { ...rest, payload: items, notes };
}

/** @param links lines about what the record refers to and what refers to it */
export function inFull(record: OpenRecord, links: readonly string[] = []): string {
  const { replica, index, leaf, origin, leafHash, envelope, meta, payload, notes } = record;
  const lines = [
    `record ${index} of ${replica} (leaf ${leaf} of ${origin})`,
    `  ${envelope.kind} ${visible(envelope.id)} ${dateOf(envelope.t_ms)}${envelope.refs.length > 0 ? ` refers to leaf ${envelope.refs.join(', ')}` : ''}`,
    `  leaf hash: ${leafHash.toString('base64')}`,
    ...links.map((link) => `  ${link}`),
  ];
  for (const [name, value] of Object.entries(meta ?? {}))
    lines.push(`  ${visible(name)}: ${visible(JSON.stringify(value))}`);
  for (const [name, bytes] of payload ?? [])
    lines.push(`  ${visible(name)} (${bytes.length} bytes): ${visible(bytes.toString('utf8'))}`);
  for (const what of notes) lines.push(`  ${what}`);
  return lines.join('\n');
}

export function inShort({ index, envelope, meta }: OpenRecord): string {
  const facts = ['subject', 'target', 'method', 'event', 'code', 'status', 'would_refuse'].flatMap((name) =>
    meta?.[name] === undefined ? [] : [`${name}=${visible(String(meta[name]))}`],
  );
  return `${String(index).padStart(8)}  ${dateOf(envelope.t_ms)}  ${envelope.kind.padEnd(8)}  ${facts.join(' ')}`;
}

/** A time that nobody can have recorded honestly is still shown. */
export function dateOf(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? `${time} ms` : date.toISOString();
}

/** Recorded text is attacker-controlled: it must not steer a terminal. */
export function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}
