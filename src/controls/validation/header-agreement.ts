import type { Head, Target } from '../../core/call.ts';
import {
  agrees,
  decodeHeaderValue,
  mcpNameSource,
  PARAM_HEADER_PREFIX,
  paramHeadersOf,
  paramHeaderValue,
  trimOws,
} from '../../core/mcp/mcp-headers.ts';
import type { Refusal } from '../../core/stage.ts';
import { type Envelope, refuse } from './envelope.ts';

/** One value without surrounding blanks, or null when it is absent or was sent twice. */
export function headerOf(head: Head, name: string): string | null {
  const value = head.headers[name];
  return typeof value === 'string' ? trimOws(value) : null;
}

/**
 * MCP-Protocol-Version, Mcp-Method and Mcp-Name must be there on every modern request and say what the body says; on
 * anything else they must not contradict it. What a front routed by and what we judge is then the same thing.
 */
export function standardHeadersDisagree(envelope: Envelope, head: Head, modern: boolean): Refusal | null {
  const asked = modern && envelope.kind === 'request';
  if (asked && headerOf(head, 'mcp-protocol-version') === null)
    return mismatch('MCP-Protocol-Version is missing or repeated', envelope);
  const method = headerOf(head, 'mcp-method');
  if (method === null ? asked || head.headers['mcp-method'] !== undefined : method !== envelope.method) {
    return mismatch(
      method === null ? 'Mcp-Method is missing or repeated' : 'Mcp-Method differs from the body',
      envelope,
    );
  }
  const source = mcpNameSource(envelope.method);
  if (source === null || envelope.kind !== 'request') return null;
  const sent = headerOf(head, 'mcp-name');
  if (sent === null && !asked && head.headers['mcp-name'] === undefined) return null;
  if (sent === null) return mismatch('Mcp-Name is missing or repeated', envelope);
  const name = decodeHeaderValue(sent);
  if (name === null) return mismatch('Mcp-Name is not encoded correctly', envelope);
  return name === envelope.params[source] ? null : mismatch('Mcp-Name differs from the body', envelope);
}

/**
 * Mcp-Param-* against the arguments, by the declarations of the pinned schema. Undeclared ones are nobody's business.
 * @param demanded whether each must be there; one that is there must agree in every era, since a front may route by it
 */
export function paramHeadersDisagree(
  target: Target,
  head: Head,
  args: Readonly<Record<string, unknown>>,
  demanded: boolean,
): Refusal | null {
  const declared = paramHeadersOf(target);
  // Such a tool is refused when it is registered; here it can only be a fault of ours.
  if (typeof declared === 'string') return mismatch('this tool declares its headers wrongly');
  for (const one of declared) {
    const field = `Mcp-Param-${one.header}`;
    const raw = head.headers[PARAM_HEADER_PREFIX + one.header.toLowerCase()];
    const body = paramHeaderValue(one, args);
    // Not of the declared kind: the schema will say so, and better.
    if (body === undefined) continue;
    if (body === null) {
      if (raw !== undefined) return mismatch(`${field} has no argument it could repeat`);
      continue;
    }
    if (raw === undefined && !demanded) continue;
    if (typeof raw !== 'string') return mismatch(`${field} is missing or repeated`);
    const value = decodeHeaderValue(raw);
    if (value === null) return mismatch(`${field} is not encoded correctly`);
    if (!agrees(one, value, body)) return mismatch(`${field} differs from the arguments`);
  }
  return null;
}

function mismatch(what: string, envelope: Envelope | null = null): Refusal {
  return refuse('validation.header_mismatch', `Headers and body disagree: ${what}.`, envelope?.idBytes ?? null);
}
