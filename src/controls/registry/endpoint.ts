import { digestOf } from './definition-digest.ts';

/**
 * Where a server is reached, in a form a manifest can hold: the URL itself, or the digest of a command line. A digest
 * binds the review to the command without ever being one (threats.md T30a).
 */
export function endpointOf(
  upstream: { readonly url: string } | { readonly command: string; readonly args: readonly string[] },
): string {
  return 'url' in upstream ? upstream.url : `stdio:${digestOf([upstream.command, ...upstream.args])}`;
}
