import { envelopeText, parseEnvelope, RECORD_KINDS, type RecordKind } from '../format/envelope.ts';

/** What verification needs of an envelope. */
export interface CheckedEnvelope {
  readonly kind: RecordKind;
  readonly t_ms: number;
  readonly refs: readonly number[];
  readonly parts: readonly { readonly ct_len: number; readonly ct_sha256: string; readonly name: string }[];
}

const COUNT = '(0|[1-9][0-9]{0,14})';
const WORD = '"[A-Za-z0-9._-]+"';
const PART = `\\{"alg":${WORD},"commit":${WORD},"ct_len":${COUNT},"ct_sha256":"([A-Za-z0-9_-]{43})","kid":${WORD},"name":"(meta|payload)"\\}`;
/** Canonical JSON of the usual form: nothing in it can be spelled in two ways. */
const USUAL = new RegExp(
  `^\\{"id":${WORD},"kind":"([a-z]+)","parts":\\[${PART}(?:,${PART})?\\],"refs":\\[((?:[0-9]{1,15}(?:,[0-9]{1,15}){0,9})?)\\],"t_ms":${COUNT},"v":1\\}$`,
);
const KINDS: ReadonlySet<string> = new Set(RECORD_KINDS);
const NO_REFS: readonly number[] = [];

/** Reads an attacker-controlled envelope; null when its bytes are not the canonical JSON of one. */
export function checkEnvelope(bytes: Buffer): CheckedEnvelope | null {
  const text = bytes.toString('latin1');
  const usual = USUAL.exec(text);
  if (usual && KINDS.has(usual[1]!) && !/(?:^|,)0[0-9]/.test(usual[8]!)) {
    const parts = [{ ct_len: Number(usual[2]), ct_sha256: usual[3]!, name: usual[4]! }];
    if (usual[5] !== undefined) parts.push({ ct_len: Number(usual[5]), ct_sha256: usual[6]!, name: usual[7]! });
    const refs = usual[8] === '' ? NO_REFS : usual[8]!.split(',').map(Number);
    return { kind: usual[1] as RecordKind, t_ms: Number(usual[9]), refs, parts };
  }
  const envelope = parseEnvelope(bytes);
  return envelope && envelopeText(envelope) === text ? envelope : null;
}
