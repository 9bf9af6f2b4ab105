import { SettingsError } from '../internal-error.ts';
import { openSecret } from '../settings.ts';

/** Keys printed in specifications and their test vectors: everybody has them (base64url of the raw bytes). */
const PUBLISHED: ReadonlySet<string> = new Set([
  'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A', // RFC 8037 A.1, RFC 8032 test 1
  'TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs', // RFC 8032 test 2
  'xapxNKEodC_JWaDAn6O1ObOjmehhcd3zCgfqdQRJxvU', // RFC 8032 test 3
  'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FXG-Onbc6mxCcYg', // RFC 7520 3.5
  'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8', // 00 01 02 … of many test vectors
  'gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8', // 80 81 82 … likewise
]);

/**
 * Why a key of 32 bytes cannot have come from a random generator, or null. Each test passes 32 random bytes but for odds
 * below 2^-40.
 */
export function notRandom(bytes: Uint8Array): string | null {
  if (PUBLISHED.has(Buffer.from(bytes).toString('base64url'))) return 'it is printed in a specification';
  if (new Set(bytes).size < bytes.length / 2) return 'its bytes repeat: it is not random';
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return 'it is text somebody typed: it is not random';
  const step = bytes[1]! - bytes[0]!;
  if (bytes.every((byte, i) => i === 0 || ((byte - bytes[i - 1]!) & 0xff) === (step & 0xff)))
    return 'its bytes count: it is not random';
  return null;
}

const PLACEHOLDER =
  /^(change[-_ ]?me|secret|password|passw0rd|test|testing|example|sample|dummy|demo|placeholder|default|admin|token|todo|xxx+|\*+|\.+|your[-_ ].*|<.*>|\$\{.*\}|12345.*|abc(123|def).*)$/i;
/** What an API key or client secret can hardly be shorter than. */
const LEAST_CHARACTERS = 12;

/**
 * Why a credential (a client secret, the value of an Authorization header) is a sample or too weak, or null. The scheme
 * before it, `Bearer` or `Basic`, is not looked at; a Basic one is opened, since its password is what counts.
 */
export function sampleCredential(value: string): string | null {
  const [, scheme = '', rest = ''] = /^(?:(bearer|basic|token|apikey)\s+)?([\s\S]*)$/i.exec(value.trim()) ?? [];
  const opened = scheme.toLowerCase() === 'basic' ? Buffer.from(rest, 'base64').toString('latin1') : rest;
  const secret = scheme.toLowerCase() === 'basic' ? opened.slice(opened.indexOf(':') + 1) : opened;
  if (PLACEHOLDER.test(secret)) return 'it is a placeholder';
  if (secret.length < LEAST_CHARACTERS) return `it is shorter than ${LEAST_CHARACTERS} characters`;
  return new Set(secret).size < 5 ? 'it repeats a few characters' : null;
}

/**
 * Opens a reference that names a credential of ours: without the line break a file ends in, and never a sample.
 * @throws SettingsError as openSecret, and when everybody could guess it
 */
export function credentialIn(reference: string): string {
  const value = openSecret(reference).toString('utf8').trim();
  const why = sampleCredential(value);
  if (why === null) return value;
  throw new SettingsError(`${reference} holds no credential: ${why}; put the real one there`);
}
