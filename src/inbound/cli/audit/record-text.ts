import type { OpenRecord } from '../../../controls/audit/index.ts';

export function plain({ payload, ...record }: OpenRecord): object {
  const items = payload && Object.fromEntries([...payload].map(([name, bytes]) => [name, bytes.toString('utf8')]));
  return { ...record, payload: items };
}

export function inFull(record: OpenRecord): string {
  const { replica, index, leaf, origin, envelope, meta, payload, notes } = record;
  const lines = [
    `record ${index} of ${replica} (leaf ${leaf} of ${origin})`,
    `  ${envelope.kind} ${envelope.id} ${new Date(envelope.t_ms).toISOString()}${envelope.refs.length > 0 ? ` refers to leaf ${envelope.refs.join(', ')}` : ''}`,
  ];
  for (const [name, value] of Object.entries(meta ?? {})) lines.push(`  ${name}: ${visible(JSON.stringify(value))}`);
  for (const [name, bytes] of payload ?? [])
    lines.push(`  ${name} (${bytes.length} bytes): ${visible(bytes.toString('utf8'))}`);
  for (const what of notes) lines.push(`  ${what}`);
  return lines.join('\n');
}

export function inShort({ index, envelope, meta }: OpenRecord): string {
  const facts = ['subject', 'target', 'method', 'code', 'status', 'would_refuse'].flatMap((name) =>
    meta?.[name] === undefined ? [] : [`${name}=${visible(String(meta[name]))}`],
  );
  return `${String(index).padStart(8)}  ${new Date(envelope.t_ms).toISOString()}  ${envelope.kind.padEnd(8)}  ${facts.join(' ')}`;
}

/** Recorded text is attacker-controlled: it must not steer a terminal. */
export function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}
