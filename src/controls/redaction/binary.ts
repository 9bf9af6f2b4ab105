import { isText } from './nested.ts';

const TEXTUAL =
  /^(?:text\/|application\/(?:json|xml|javascript|ecmascript|yaml|x-yaml|toml|sql|graphql|x-www-form-urlencoded|x-ndjson)|[^;]*\+(?:json|xml|yaml))|^image\/svg/i;
/** As much of the content is decoded to see whether it is what its media type says. */
const PROBE = 1024;

/**
 * Image, audio and binary blob content (`data`, `blob` beside a `mimeType` that is no text) is not read as text.
 * What decodes to text although it claims to be an image is read all the same.
 * @param segments path of the leaf in `tree`
 */
export function isBinaryContent(tree: unknown, segments: readonly (string | number)[], text: string): boolean {
  let parent: unknown = tree;
  for (const segment of segments.slice(0, -1)) {
    if (typeof parent !== 'object' || parent === null) return false;
    parent = (parent as Record<string | number, unknown>)[segment];
  }
  const mimeType = (parent as { mimeType?: unknown } | null)?.mimeType;
  if (typeof mimeType !== 'string' || TEXTUAL.test(mimeType)) return false;
  const head = text.slice(0, PROBE);
  if (!/^[A-Za-z0-9+/=_\r\n-]+$/.test(head) || !/^[A-Za-z0-9+/=_\r\n-]*$/.test(text)) return false;
  // The probe may end inside a character: three bytes less cannot hide a text.
  const bytes = Buffer.from(head, 'base64');
  return !(
    isText(bytes) ||
    isText(bytes.subarray(0, -1)) ||
    isText(bytes.subarray(0, -2)) ||
    isText(bytes.subarray(0, -3))
  );
}
