import { HASH_BYTES } from './merkle.ts';

/**
 * C2SP tlog-proof (draft, `c2sp.org/tlog-proof@v1`): that an entry stands at an index of the tree a checkpoint signs, in
 * one text that needs no log to be checked. This file knows the form alone; nothing in a parsed proof is believed yet.
 */
const HEADER = 'c2sp.org/tlog-proof@v1';
/** A path in a tree whose size is a safe integer. */
const MAX_PATH = 53;

export interface TlogProof {
  /** What the application adds; signed by nobody. */
  readonly extra: Buffer | null;
  /** Leaf in the tree. */
  readonly index: number;
  /** Audit path (RFC 6962 2.1.1), the leaf's sibling first. */
  readonly path: readonly Uint8Array[];
  /** The signed note, as it is: three lines, an empty one, signature lines. */
  readonly checkpoint: string;
}

export function tlogProofText({ extra, index, path, checkpoint }: TlogProof): string {
  const lines = [HEADER];
  if (extra !== null) lines.push(`extra ${extra.toString('base64')}`);
  lines.push(`index ${index}`);
  for (const hash of path) lines.push(Buffer.from(hash).toString('base64'));
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/** Reads exactly what `tlogProofText` writes, attacker-controlled; null for anything else. */
export function parseTlogProof(text: string): TlogProof | null {
  const gap = text.indexOf('\n\n');
  if (gap < 0) return null;
  const [header, ...lines] = text.slice(0, gap).split('\n') as [string, ...string[]];
  const checkpoint = text.slice(gap + 2);
  if (header !== HEADER || !checkpoint.includes('\n\n') || !checkpoint.endsWith('\n')) return null;
  let extra: Buffer | null = null;
  if (lines[0]?.startsWith('extra ')) {
    extra = strictBase64(lines.shift()!.slice('extra '.length));
    if (extra === null) return null;
  }
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1];
  if (index === undefined || !Number.isSafeInteger(Number(index)) || lines.length > MAX_PATH) return null;
  const path: Buffer[] = [];
  for (const line of lines) {
    const hash = strictBase64(line);
    if (hash?.length !== HASH_BYTES) return null;
    path.push(hash);
  }
  return { extra, index: Number(index), path, checkpoint };
}

/** Proofs that stand one behind the other in a text; what comes before the first is lost in none of them. */
export function splitTlogProofs(text: string): string[] {
  const proofs: string[] = [];
  let from = 0;
  for (;;) {
    // A header is a whole line; the line before it ends a signature.
    const next = text.indexOf(`\n${HEADER}\n`, from);
    proofs.push(next < 0 ? text.slice(from) : text.slice(from, next + 1));
    if (next < 0) return proofs;
    from = next + 1;
  }
}

/** Buffer decodes leniently; a proof must not have two spellings. */
function strictBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
