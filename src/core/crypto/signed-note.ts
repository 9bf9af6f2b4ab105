import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { sha256 } from './digest.ts';
import { HASH_BYTES } from './merkle.ts';

/** C2SP signed-note v1.0.0 with Ed25519 (type 0x01), and the three lines of C2SP tlog-checkpoint v1.0.0. */
const ED25519 = 0x01;
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
/** What the reference code in Go reads of a note at most. */
const MAX_SIGNATURES = 100;
const DASH = '\u2014 ';

export interface NoteSigner {
  /** Key name: no blank, no plus. */
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface NoteVerifier {
  readonly name: string;
  /** First four bytes of SHA-256(name ‖ \n ‖ type ‖ key), 8 hex digits. */
  readonly keyHash: string;
  readonly publicKey: KeyObject;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** `name+hash+key`: the line that goes into `audit.pub`. */
export function verifierLine(name: string, publicKey: KeyObject): string {
  return typedVerifierLine(name, ED25519, publicKey);
}

/** @param type of the signature, as in C2SP signed-note: the same key has another hash for another kind of statement */
export function typedVerifierLine(name: string, type: number, publicKey: KeyObject): string {
  const hash = noteKeyHash(name, type, publicKey).toString('hex');
  return `${name}+${hash}+${typedKey(type, publicKey).toString('base64')}`;
}

/** Reads one verifier line; null when it is malformed, its hash is wrong or its type is not Ed25519. */
export function parseVerifierLine(line: string): NoteVerifier | null {
  return parseTypedVerifierLine(line, ED25519);
}

/** The same for another type whose keys are those of Ed25519. */
export function parseTypedVerifierLine(line: string, type: number): NoteVerifier | null {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(line);
  if (!match) return null;
  const [, name, hash, encoded] = match as unknown as [string, string, string, string];
  const typed = strictBase64(encoded);
  if (typed?.length !== 33 || typed[0] !== type) return null;
  if (hashOfTyped(name, typed).toString('hex') !== hash) return null;
  const publicKey = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, typed.subarray(1)]),
    format: 'der',
    type: 'spki',
  });
  return { name, keyHash: hash, publicKey };
}

/** @param text ends with a newline */
export function signNote(text: string, signer: NoteSigner): string {
  const hash = noteKeyHash(signer.name, ED25519, signer.publicKey);
  return `${text}\n${signatureLine(signer.name, hash, sign(null, Buffer.from(text), signer.privateKey))}`;
}

export interface OpenedNote {
  /** The signed text, ending with a newline. */
  readonly text: string;
  readonly signedBy: NoteVerifier;
  /** Signature lines by keys that are not known here. */
  readonly unknown: number;
}

/**
 * The text of an attacker-controlled note, when a known key signed it and no line of a known key is bad or there twice;
 * otherwise null.
 */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): OpenedNote | null {
  const parts = splitNote(note);
  if (!parts) return null;
  const { text, signatures } = parts;
  let signedBy: NoteVerifier | null = null;
  let unknown = 0;
  const seen = new Set<NoteVerifier>();
  for (const { name, keyHash, signature } of signatures) {
    const known = verifiers.find((verifier) => verifier.name === name && verifier.keyHash === keyHash);
    if (!known) {
      unknown++;
      continue;
    }
    // Lines that say nothing new would be bytes that anybody can add.
    if (seen.has(known) || !verify(null, Buffer.from(text), known.publicKey, signature)) return null;
    seen.add(known);
    signedBy ??= known;
  }
  return signedBy ? { text, signedBy, unknown } : null;
}

/** One signature line, not verified. */
export interface SignatureLine {
  readonly name: string;
  /** 8 hex digits */
  readonly keyHash: string;
  /** What follows the key's hash. */
  readonly signature: Buffer;
  /** The line as it stands, with its newline. */
  readonly line: string;
}

/** Text and signature lines of an attacker-controlled note; null when it is none. */
export function splitNote(note: string): { text: string; signatures: readonly SignatureLine[] } | null {
  const gap = note.lastIndexOf('\n\n');
  if (gap < 0 || !note.endsWith('\n')) return null;
  const signatures = signatureLines(note.slice(gap + 2));
  return signatures && { text: note.slice(0, gap + 1), signatures };
}

/** @returns null when a line is malformed, there is none, or there are more than anybody needs */
export function signatureLines(text: string): readonly SignatureLine[] | null {
  if (!text.endsWith('\n')) return null;
  const lines = text.slice(0, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) return null;
  const signatures: SignatureLine[] = [];
  for (const line of lines) {
    const match = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/=]+)$/.exec(line);
    const blob = match ? strictBase64(match[2]!) : null;
    if (!match || !blob || blob.length < 5) return null;
    signatures.push({
      name: match[1]!,
      keyHash: blob.toString('hex', 0, 4),
      signature: blob.subarray(4),
      line: `${line}\n`,
    });
  }
  return signatures;
}

export function signatureLine(name: string, keyHash: Uint8Array, signature: Uint8Array): string {
  return `${DASH}${name} ${Buffer.concat([keyHash, signature]).toString('base64')}\n`;
}

/** Three lines, no extension lines (audit.md 3.6). */
export function checkpointText(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${Buffer.from(checkpoint.root).toString('base64')}\n`;
}

/** Reads exactly what `checkpointText` writes; null for anything else. */
export function parseCheckpoint(text: string): Checkpoint | null {
  const lines = text.split('\n');
  if (lines.length !== 4 || lines[3] !== '') return null;
  const [origin, size, encoded] = lines as [string, string, string, string];
  const root = strictBase64(encoded);
  // An origin is printed: what would steer a terminal is none.
  if (
    !/^[^\p{Cc}\p{Cf}\u2028\u2029]+$/u.test(origin) ||
    !/^(0|[1-9][0-9]{0,15})$/.test(size) ||
    root?.length !== HASH_BYTES
  )
    return null;
  const count = Number(size);
  return Number.isSafeInteger(count) ? { origin, size: count, root } : null;
}

/** First four bytes of SHA-256(name ‖ \n ‖ type ‖ key). */
export function noteKeyHash(name: string, type: number, publicKey: KeyObject): Buffer {
  return hashOfTyped(name, typedKey(type, publicKey));
}

function typedKey(type: number, publicKey: KeyObject): Buffer {
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
  return Buffer.concat([Buffer.from([type]), raw]);
}

function hashOfTyped(name: string, typed: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`), typed])).subarray(0, 4);
}

/** Buffer decodes leniently; a signature line must not have two spellings. */
function strictBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
