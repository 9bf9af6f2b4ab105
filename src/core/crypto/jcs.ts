import canonicalizeText from 'canonicalize';

/**
 * JSON Canonicalization Scheme (RFC 8785). Only for JSON we author: bytes received from others are hashed as received.
 * @throws TypeError for a value that JSON cannot express
 */
export function canonicalJson(value: unknown): string {
  const text = canonicalizeText(value);
  if (text === undefined) throw new TypeError('this value has no JSON form');
  return text;
}
