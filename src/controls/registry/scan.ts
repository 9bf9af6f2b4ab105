import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { latinized, mixesScripts } from './look-alike.ts';

/**
 * Looks for text that steers a model or deceives a reviewer in a definition (threats.md T33a, PO-01). It finds known
 * tricks, not intentions: the pin and the person are the protection, this is the magnifying glass. Pure.
 */
export const SCAN_RULES = [
  'hidden_unicode',
  'control_character',
  'instruction',
  'secret_path',
  'padding',
  'long_text',
  'mixed_script',
  'odd_name',
  'remote_image',
  'network_ref',
] as const;
export type ScanRule = (typeof SCAN_RULES)[number];

export interface ScanFinding {
  /** Stable for rule, item, place and text: a changed text needs a new look. */
  readonly id: string;
  readonly rule: ScanRule;
  /** `server/name` of the item. */
  readonly item: string;
  /** JSON pointer into the definition. */
  readonly path: string;
  /** What was seen, in plain words and escapes only. */
  readonly what: string;
}

const MAX_TEXT = 8192;
const MAX_FINDINGS = 100;
const MAX_DEPTH = 64;

/** Joiners and selectors inside an emoji are how emoji are written. */
const EMOJI = /\p{Extended_Pictographic}(?:[\uFE0F\u{1F3FB}-\u{1F3FF}]|\u200D\p{Extended_Pictographic})*/gu;
const HIDDEN =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points are meant, each hides by itself
  /[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFFB\u{1BCA0}-\u{1BCA3}\u{1D173}-\u{1D17A}\u{E0000}-\u{E0FFF}]/gu;
const CONTROL = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/g;
const PADDING = /[^\S\n]{40,}|(?:[^\S\n]*\n){12,}/;
const REMOTE_IMAGE = /!\[[^\]]{0,200}\]\(\s*(?:https?:)?\/\/|<\s*(?:img|iframe|script|object|embed|svg)\b/i;
const SECRET_PATH =
  /~\/\.(?:ssh|aws|config|kube|netrc)|\bid_(?:rsa|ed25519|ecdsa)\b|\/etc\/(?:passwd|shadow)|\.(?:cursor|claude)\/mcp\.json|\bauthorized_keys\b/i;

/** Matched on the folded text, so that full-width letters and case do not hide them. */
const INSTRUCTIONS: readonly RegExp[] = [
  /<\s*\/?\s*(?:important|system|secret|hidden|instructions?|assistant|admin|critical|override|rules?)\b[^>]{0,80}>/,
  /\[\s*\/?\s*(?:inst|system|important)\s*\]|<\|\s*(?:im_start|im_end|system|endoftext)\s*\|>|<<\s*sys\s*>>/,
  /\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|earlier|preceding|all|other|system)\b.{0,30}\b(?:instructions?|prompts?|rules?|messages?|guidelines?|tools?)\b/s,
  /\b(?:do not|don't|never|must not|without)\b.{0,20}\b(?:tell|telling|mention|mentioning|inform|informing|notify|notifying|reveal|revealing|show|showing|ask|asking)\b.{0,20}\b(?:the )?users?\b/s,
  /\bbefore (?:using|calling|invoking|running)\b.{0,30}\b(?:this|any|other|another) (?:other )?tools?\b/s,
  /\binstead of (?:using |calling )?(?:the )?[\w-]{1,64} tool\b/,
  /\b(?:system|developer) prompt\b/,
  /\b(?:conversation|chat) (?:history|transcript)\b.{0,60}\b(?:pass|send|include|append|forward)\b|\b(?:pass|send|include|append|forward)\b.{0,60}\b(?:conversation|chat) (?:history|transcript)\b/s,
  /\b(?:bcc|forward a copy|send a copy)\b.{0,60}@/s,
];

/** Findings in one definition, in order of place. */
export function scanDefinition(
  item: string,
  name: string,
  definition: Readonly<Record<string, unknown>>,
): ScanFinding[] {
  const found: ScanFinding[] = [];
  const add = (rule: ScanRule, path: string, text: string, what: string) => {
    if (found.length >= MAX_FINDINGS) return;
    const id = `${rule}-${sha256Base64Url(JSON.stringify([rule, item, path, text])).slice(0, 12)}`;
    found.push({ id, rule, item, path, what });
  };
  if (!/^[\x21-\x7E]+(?: [\x21-\x7E]+)*$/.test(name))
    add('odd_name', '', name, 'the name holds other than printable ASCII characters');
  walk(definition, '', 0, add);
  return found;
}

type Add = (rule: ScanRule, path: string, text: string, what: string) => void;

function walk(value: unknown, path: string, depth: number, add: Add): void {
  if (depth > MAX_DEPTH) add('long_text', path, 'depth', `nested deeper than ${MAX_DEPTH}`);
  else if (typeof value === 'string') scanText(value, path, add);
  else if (Array.isArray(value)) for (const [i, entry] of value.entries()) walk(entry, `${path}/${i}`, depth + 1, add);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      const place = `${path}/${inert(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
      scanText(key, place, add);
      if (
        (key === '$ref' || key === '$dynamicRef' || key === '$recursiveRef') &&
        typeof member === 'string' &&
        !member.startsWith('#')
      ) {
        add('network_ref', place, member, 'a schema reference that leaves the definition');
      }
      walk(member, place, depth + 1, add);
    }
  }
}

function scanText(text: string, path: string, add: Add): void {
  const hidden = text.replace(EMOJI, '').match(HIDDEN);
  if (hidden)
    add(
      'hidden_unicode',
      path,
      text,
      `${hidden.length} invisible or direction-changing characters, first U+${hex(hidden[0])}`,
    );
  const control = text.match(CONTROL);
  if (control) add('control_character', path, text, `${control.length} control characters, first U+${hex(control[0])}`);
  if (PADDING.test(text)) add('padding', path, text, 'long run of blanks or empty lines that pushes text out of sight');
  if (text.length > MAX_TEXT) add('long_text', path, text, `${text.length} characters`);
  const visible = text.replace(HIDDEN, '');
  if (mixesScripts(visible))
    add('mixed_script', path, text, 'a word mixes Latin letters with look-alikes of another script');
  if (REMOTE_IMAGE.test(visible)) add('remote_image', path, text, 'markup that loads or runs something when shown');
  if (SECRET_PATH.test(visible)) add('secret_path', path, text, 'names a place where credentials lie');
  if (instructs(visible)) add('instruction', path, text, 'reads like an instruction to the model');
}

function instructs(text: string): boolean {
  const folded = text.normalize('NFKC').toLowerCase();
  const latin = latinized(text);
  return INSTRUCTIONS.some((pattern) => pattern.test(folded) || pattern.test(latin));
}

function hex(char: string): string {
  return char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
}

/** For people: no character that a terminal or page could act on. */
export function inert(text: string, max = 200): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return cut.replace(/[\p{C}\u2028\u2029]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}
