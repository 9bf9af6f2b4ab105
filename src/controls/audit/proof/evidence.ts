import { PART_NAMES, type PartName } from '../format/envelope.ts';
import { MAX_ENVELOPE_BYTES } from '../format/frame.ts';

/**
 * What our proofs carry in the `extra` line of a tlog-proof: the entry itself, and of each sealed part that is disclosed
 * its opening. So a proof stays one that every tlog-proof reader reads, and one file is enough for ours.
 */
export interface Evidence {
  /** The envelope's bytes: what the leaf hash covers. */
  readonly entry: Buffer;
  /** r ‖ plaintext of a part: checked by HMAC-SHA-256 against the envelope, without any key. */
  readonly openings: ReadonlyMap<PartName, Buffer>;
}

const FORMAT = 'gatewrit-record@v1';

export function encodeEvidence({ entry, openings }: Evidence): Buffer {
  // Members in the order of RFC 8785.
  const opened = Object.fromEntries(
    PART_NAMES.flatMap((name) => (openings.has(name) ? [[name, openings.get(name)!.toString('base64')]] : [])),
  );
  return Buffer.from(JSON.stringify({ entry: entry.toString('utf8'), format: FORMAT, openings: opened }));
}

/** Reads attacker-controlled evidence; null when it is not exactly what `encodeEvidence` writes. */
export function parseEvidence(extra: Buffer): Evidence | null {
  let raw: unknown;
  try {
    raw = JSON.parse(extra.toString('utf8'));
  } catch {
    // What is no JSON is none of ours.
    return null;
  }
  const { entry, format, openings } = (raw ?? {}) as Record<string, unknown>;
  if (format !== FORMAT || typeof entry !== 'string' || typeof openings !== 'object' || openings === null) return null;
  const read = new Map<PartName, Buffer>();
  for (const [name, text] of Object.entries(openings)) {
    if (!(PART_NAMES as readonly string[]).includes(name) || typeof text !== 'string') return null;
    read.set(name as PartName, Buffer.from(text, 'base64'));
  }
  const evidence = { entry: Buffer.from(entry), openings: read };
  // One spelling: nothing may stand in it that is not looked at.
  return evidence.entry.length <= MAX_ENVELOPE_BYTES && encodeEvidence(evidence).equals(extra) ? evidence : null;
}
