import {
  encodeHeaderValue,
  mcpNameSource,
  type ParamHeader,
  paramHeaders,
  paramHeaderValue,
} from '../../core/mcp/mcp-headers.ts';

/** `x-mcp-header` declarations of the tools this client has listed, by tool name. */
export type Declarations = Map<string, readonly ParamHeader[]>;

/** Remembers what the tools of a list want repeated in headers. */
export function declarationsOf(listed: Readonly<Record<string, unknown>>, declared: Declarations): void {
  const tools = (listed['result'] as { tools?: { name: string; inputSchema: unknown }[] } | undefined)?.tools ?? [];
  for (const { name, inputSchema } of tools) {
    const headers = paramHeaders(inputSchema);
    if (typeof headers !== 'string') declared.set(name, headers);
  }
}

/** What a message says again in its headers over HTTP (protocol.md 1.4). */
export function headersFor(message: Readonly<Record<string, unknown>>, declared: Declarations): Record<string, string> {
  const method = String(message['method'] ?? '');
  const params = (message['params'] ?? {}) as Record<string, unknown>;
  const meta = (params['_meta'] ?? {}) as Record<string, unknown>;
  const version = meta['io.modelcontextprotocol/protocolVersion'];
  const headers: Record<string, string> = {};
  if (typeof version === 'string') headers['mcp-protocol-version'] = encodeHeaderValue(version);
  if (method) headers['mcp-method'] = encodeHeaderValue(method);
  const source = mcpNameSource(method);
  const name = source ? params[source] : undefined;
  if (typeof name !== 'string') return headers;
  headers['mcp-name'] = encodeHeaderValue(name);
  for (const one of declared.get(name) ?? []) {
    const value = paramHeaderValue(one, params['arguments']);
    if (typeof value === 'string') headers[`mcp-param-${one.header.toLowerCase()}`] = encodeHeaderValue(value);
  }
  return headers;
}
