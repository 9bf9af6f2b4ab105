import { type KeyObject, sign, verify } from 'node:crypto';
import {
  type NoteSigner,
  type NoteVerifier,
  noteKeyHash,
  type OpenedNote,
  openNote,
  parseTypedVerifierLine,
  type SignatureLine,
  signatureLine,
  splitNote,
  typedVerifierLine,
} from './signed-note.ts';

/**
 * C2SP tlog-cosignature v1 with Ed25519 (type 0x04): a witness says that it has seen this tree at this time, that it
 * grew from every tree it had seen of this origin before, and that it has seen none larger.
 */
const COSIGNATURE = 0x04;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;

/** A key that cosigns. Its hash differs from that of a log's key with the same bytes. */
export interface WitnessVerifier extends NoteVerifier {}

export interface Cosigned {
  /** Of the witness. */
  readonly name: string;
  /** s since 1970, UTC: the witness's clock. */
  readonly time: number;
}

export interface OpenedCosigned extends OpenedNote {
  readonly cosignedBy: readonly Cosigned[];
}

/** `name+hash+key` of a witness: a line of `witnesses.pub`. */
export function witnessLine(name: string, publicKey: KeyObject): string {
  return typedVerifierLine(name, COSIGNATURE, publicKey);
}

/** Reads such a line; null when it is malformed, its hash is wrong or its type is not that of a cosignature. */
export function parseWitnessLine(line: string): WitnessVerifier | null {
  return parseTypedVerifierLine(line, COSIGNATURE);
}

/**
 * The signature line, with its newline, of a witness for a checkpoint.
 * @param text of the note, ending with a newline
 * @param time s since 1970
 */
export function cosign(text: string, witness: NoteSigner, time: number): string {
  const stamp = Buffer.alloc(TIME_BYTES);
  stamp.writeBigUInt64BE(BigInt(time));
  const signature = sign(null, message(text, BigInt(time)), witness.privateKey);
  const hash = noteKeyHash(witness.name, COSIGNATURE, witness.publicKey);
  return signatureLine(witness.name, hash, Buffer.concat([stamp, signature]));
}

/** The time in a cosignature of `text`, s since 1970; null when the witness did not make it. */
export function cosignedAt(text: string, { signature }: SignatureLine, witness: WitnessVerifier): number | null {
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return null;
  const time = signature.readBigUInt64BE(0);
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  return verify(null, message(text, time), witness.publicKey, signature.subarray(TIME_BYTES)) ? Number(time) : null;
}

/**
 * The text of an attacker-controlled note that a known key of a log has signed, and who of the given witnesses has
 * cosigned it. Null when no log's key signed it, or a line in the name of a known key is bad or there twice.
 */
export function openCosigned(
  note: string,
  verifiers: readonly NoteVerifier[],
  witnesses: readonly WitnessVerifier[],
): OpenedCosigned | null {
  const opened = openNote(note, verifiers);
  const parts = opened && splitNote(note);
  if (!opened || !parts) return null;
  const times = new Map<WitnessVerifier, number>();
  let { unknown } = opened;
  for (const line of parts.signatures) {
    const witness = witnesses.find(({ name, keyHash }) => name === line.name && keyHash === line.keyHash);
    if (!witness) continue;
    if (times.has(witness)) return null;
    unknown--;
    const time = cosignedAt(opened.text, line, witness);
    if (time === null) return null;
    times.set(witness, time);
  }
  return { ...opened, unknown, cosignedBy: [...times].map(([{ name }, time]) => ({ name, time })) };
}

function message(text: string, time: bigint): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
}
