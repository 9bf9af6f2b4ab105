import type { Message } from '../core/call.ts';
import { type Edit, objectEdits, patch } from '../core/mcp/patch.ts';
import { scanDocument } from '../core/mcp/scanner.ts';
import type { UpstreamRequest } from './request.ts';

export const UPSTREAM_ERAS = ['modern', 'legacy'] as const;
export type UpstreamEra = (typeof UPSTREAM_ERAS)[number];

export const MODERN = '2026-07-28';
const RESERVED = 'io.modelcontextprotocol/';
const PROGRESS = 'progressToken';
/** What a client puts into `_meta` that must not travel on: our own marks, and baggage (protocol.md 1.14). */
const KEPT_BACK = ['gatewrit/', 'baggage'];

const MODERN_META = `"${RESERVED}protocolVersion":"${MODERN}","${RESERVED}clientCapabilities":{},"${RESERVED}clientInfo":{"name":"gatewrit","version":"0.1.0"}`;

/**
 * The message that goes out: the client's own bytes with id, name, `_meta` and (for an approved call) arguments
 * replaced; nothing is re-serialised. Other members of `params` stay behind: nobody judged them, and an approval is not
 * bound to them. Capabilities of the client are not passed on: what we cannot carry back, an
 * upstream must not ask for.
 */
export function outgoingMessage(request: UpstreamRequest, id: number, era: UpstreamEra): Uint8Array {
  const { message, target } = request;
  const { spans } = message;
  const edits: Edit[] = [{ span: spans.id!, replacement: Buffer.from(String(id)) }, ...unjudged(message)];
  if (spans.name && target.kind !== 'resource' && target.kind !== 'template' && message.name !== target.name) {
    edits.push({ span: spans.name, replacement: Buffer.from(JSON.stringify(target.name)) });
  }
  if (request.approved && spans.arguments) edits.push({ span: spans.arguments, replacement: request.approved });
  if (spans.meta) edits.push({ span: spans.meta, replacement: Buffer.from(outgoingMeta(request, id, era)) });
  return patch(message.bytes, edits);
}

/** Takes members out of `params` that are none of name, uri, arguments and `_meta`. Usually there are none. */
function unjudged({ bytes, params, spans }: Message): Edit[] {
  const judged = [spans.name, spans.arguments, spans.meta].filter((span) => span !== null);
  if (spans.params === null || Object.keys(params).length <= judged.length) return [];
  const { start, end } = spans.params;
  const document = scanDocument(bytes.subarray(start, end));
  if (typeof document === 'string' || document.members === null) return [];
  const remove = [...document.members.values()]
    .map((span) => ({ start: span.start + start, end: span.end + start }))
    .filter((span) => judged.every((one) => one.start !== span.start));
  return objectEdits(bytes, spans.params, { remove });
}

/** Members the client sent go on verbatim, but for reserved ones (ours now) and those kept back; progress under our own token. */
function outgoingMeta(request: UpstreamRequest, id: number, era: UpstreamEra): string {
  const { message } = request;
  const parts = era === 'modern' ? [MODERN_META] : [];
  for (const [name, span] of message.spans.metaMembers) {
    if (name.startsWith(RESERVED) && name !== `${RESERVED}logLevel`) continue;
    if (name === `${RESERVED}logLevel` && era === 'legacy') continue;
    if (KEPT_BACK.some((prefix) => name.startsWith(prefix))) continue;
    const value =
      name === PROGRESS ? String(id) : Buffer.from(message.bytes.subarray(span.start, span.end)).toString('utf8');
    parts.push(`${JSON.stringify(name)}:${value}`);
  }
  return `{${parts.join(',')}}`;
}

/** The token by which this client knows its call's progress, as it stood in the message; null when it asked for none. */
export function progressTokenOf(request: UpstreamRequest): Uint8Array | null {
  const span = request.message.spans.metaMembers.get(PROGRESS);
  return span ? request.message.bytes.subarray(span.start, span.end) : null;
}
