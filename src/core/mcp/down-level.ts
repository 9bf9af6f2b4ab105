import type { Reply, Revision, Span } from '../call.ts';
import { elementsOf } from './elements.ts';
import { type Edit, objectEdits, patch } from './patch.ts';
import { type DocumentSpans, NO_BOUNDS, parseSpan, scanDocument } from './scanner.ts';

/** Legacy code of a resource that is not there; modern revisions say -32602 (protocol.md 1.5). */
export const RESOURCE_NOT_FOUND = -32002;
const INVALID_PARAMS = -32602;
const INTERNAL_ERROR = -32603;

/** Results that say how long they may be kept: words of the modern revision. Elsewhere a server's own members. */
const CACHED: readonly string[] = [
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
];
const CACHE_WORDS = ['ttlMs', 'cacheScope'] as const;
/** Knows no output schemas and no links to resources. */
const OLDEST: Revision = '2025-03-26';

/**
 * A modern reply in the words of an older revision (protocol.md 2.2 B): members it does not know are cut out, every
 * other byte stays. A value we cannot read is an internal matter and passes unchanged: it was judged before.
 */
export function downLevel(
  { kind, bytes }: Pick<Reply, 'kind' | 'bytes'>,
  method: string,
  revision: Revision,
): Uint8Array {
  const document = scanDocument(bytes, NO_BOUNDS);
  if (typeof document === 'string' || document.members === null) return bytes;
  if (kind === 'error') return downLevelError(bytes, document.members, method);
  const edits = rootEdits(bytes, document, method);
  return patch(bytes, revision === OLDEST ? edits.concat(oldestEdits(bytes, document.members, method)) : edits);
}

function downLevelError(bytes: Uint8Array, members: ReadonlyMap<string, Span>, method: string): Uint8Array {
  const span = members.get('code');
  if (!span) return bytes;
  const code = parseSpan(bytes, span);
  const legacy = legacyCode(code, method, () => {
    const data = members.get('data');
    const told = data && parseSpan(bytes, data);
    return typeof told === 'object' && told !== null && 'uri' in told;
  });
  return legacy === code ? bytes : patch(bytes, [{ span, replacement: Buffer.from(String(legacy)) }]);
}

function legacyCode(code: unknown, method: string, namesResource: () => boolean): unknown {
  if (code === INVALID_PARAMS && method === 'resources/read' && namesResource()) return RESOURCE_NOT_FOUND;
  // Reserved by the modern revision; whatever said it, an older client cannot act on it.
  return typeof code === 'number' && code <= -32020 && code >= -32099 ? INTERNAL_ERROR : code;
}

function rootEdits(bytes: Uint8Array, { members, value }: DocumentSpans, method: string): Edit[] {
  const remove: Span[] = [];
  const type = members!.get('resultType');
  if (type) remove.push(type);
  if (CACHED.includes(method)) {
    for (const word of CACHE_WORDS) {
      const span = members!.get(word);
      if (span) remove.push(span);
    }
  }
  return objectEdits(bytes, value, { remove });
}

function oldestEdits(bytes: Uint8Array, members: ReadonlyMap<string, Span>, method: string): Edit[] {
  switch (method) {
    case 'tools/list':
      return eachOf(bytes, members.get('tools')).flatMap((tool) => withoutOutputSchema(bytes, tool));
    case 'tools/call':
      return eachOf(bytes, members.get('content')).flatMap((item) => withoutLink(bytes, item));
    case 'prompts/get':
      return eachOf(bytes, members.get('messages')).flatMap((message) => {
        const content = membersAt(bytes, message)?.get('content');
        return content ? withoutLink(bytes, content) : [];
      });
    default:
      return [];
  }
}

function withoutOutputSchema(bytes: Uint8Array, tool: Span): Edit[] {
  const schema = membersAt(bytes, tool)?.get('outputSchema');
  return schema ? objectEdits(bytes, tool, { remove: [schema] }) : [];
}

/** A link to a resource becomes text a model can read: what it is called, and where it is. */
function withoutLink(bytes: Uint8Array, item: Span): Edit[] {
  const type = membersAt(bytes, item)?.get('type');
  if (!type || parseSpan(bytes, type) !== 'resource_link') return [];
  const { title, name, uri, description } = parseSpan(bytes, item) as Readonly<Record<string, unknown>>;
  const about = [title ?? name, uri, description].filter((text) => typeof text === 'string' && text !== '');
  return [{ span: item, replacement: Buffer.from(JSON.stringify({ type: 'text', text: about.join('\n') })) }];
}

function eachOf(bytes: Uint8Array, span: Span | undefined): Span[] {
  return span && bytes[span.start] === OPEN_ARRAY ? (elementsOf(bytes, span, Number.MAX_SAFE_INTEGER) ?? []) : [];
}
const OPEN_ARRAY = 0x5b;

/** Members of an object inside `bytes`, with spans in `bytes`; null when it is none. */
function membersAt(bytes: Uint8Array, at: Span): ReadonlyMap<string, Span> | null {
  const document = scanDocument(bytes.subarray(at.start, at.end), NO_BOUNDS);
  if (typeof document === 'string' || document.members === null) return null;
  const shifted = new Map<string, Span>();
  for (const [name, { start, end }] of document.members)
    shifted.set(name, { start: at.start + start, end: at.start + end });
  return shifted;
}
