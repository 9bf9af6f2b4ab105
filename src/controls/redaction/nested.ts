import { isUtf8 } from 'node:buffer';
import { type Found, RANK } from './types.ts';

/** A shorter run of base64 holds nothing a detector wants. */
const RUN = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}(?![A-Za-z0-9+/_=-])/g;
/** A whole text in base64, broken into lines. */
const LINES = /^[A-Za-z0-9+/\r\n]{24,}={0,2}[\r\n]{0,4}$/;

/**
 * Decodes base64 once and looks inside. A run with findings is encoded again without them, so that what reads it
 * still can. Binary content is not text and stays as it is.
 */
export function findInBase64(text: string, look: (inner: string) => readonly Found[]): Found[] {
  const found = text.includes('\n') && LINES.test(text) ? inRun(text, 0, look) : [];
  // Words in lines look like one text in base64, too, and one of them may be the only one that is.
  if (found.length > 0) return found;
  for (const match of text.matchAll(RUN)) for (const one of inRun(match[0], match.index, look)) found.push(one);
  return found;
}

/** At most one. */
function inRun(run: string, start: number, look: (inner: string) => readonly Found[]): Found[] {
  const inner = decodedText(run);
  if (inner === null) return [];
  const inside = look(inner);
  const strongest = inside.reduce<Found | null>(
    (best, one) => (best === null || RANK[one.type] < RANK[best.type] ? one : best),
    null,
  );
  if (strongest === null) return [];
  const quiet = inside.every((one) => one.quiet === true);
  const { type, value } = strongest;
  return [
    {
      type,
      value,
      start,
      end: start + run.length,
      rule: `${strongest.rule}.base64`,
      quiet,
      inside: { text: inner, found: inside },
    },
  ];
}

/** The text a base64 run stands for, or null when it is not text. */
export function decodedText(run: string): string | null {
  const bytes = Buffer.from(run, 'base64');
  if (!isText(bytes)) return null;
  return bytes.toString('utf8');
}

/** UTF-8 without control characters other than white space and escape. */
export function isText(bytes: Uint8Array): boolean {
  if (bytes.length === 0 || !isUtf8(bytes)) return false;
  for (const byte of bytes)
    if (byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09 && byte !== 0x1b) return false;
  return true;
}

/** Encodes in the alphabet and padding of the run it replaces. */
export function encodedLike(run: string, text: string): string {
  const bytes = Buffer.from(text);
  const encoded = /[-_]/.test(run) ? bytes.toString('base64url') : bytes.toString('base64');
  return run.endsWith('=') || run.length % 4 === 0 ? encoded : encoded.replace(/=+$/, '');
}
