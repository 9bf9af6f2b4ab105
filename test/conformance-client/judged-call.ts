import type { Message, Principal, Target } from '../../src/core/call.ts';
import { scanMessage } from '../../src/core/mcp/scanner.ts';
import type { UpstreamRequest } from '../../src/upstream/request.ts';

/** A call as the pipeline would hand it to the connector: judged, with a pinned target. */
export interface Wish {
  readonly method: 'tools/call' | 'prompts/get' | 'resources/read';
  /** Name of the tool or prompt, URI of the resource. */
  readonly name: string;
  readonly arguments?: unknown;
  /** Definition the upstream gave for it. */
  readonly definition: Readonly<Record<string, unknown>>;
}

const KINDS = { 'tools/call': 'tool', 'prompts/get': 'prompt', 'resources/read': 'resource' } as const;

const PRINCIPAL: Principal = {
  issuer: 'https://issuer.test',
  subject: 'somebody',
  client: 'conformance',
  tenant: 'default',
  scopes: [],
  groups: [],
  proof: 'bearer',
  actors: [],
  expiresAt: Number.MAX_SAFE_INTEGER,
  key: 'default/somebody',
  authority: 'somebody',
};

export function judgedCall(wish: Wish, capabilities: Readonly<Record<string, unknown>>): UpstreamRequest {
  const member = wish.method === 'resources/read' ? 'uri' : 'name';
  const params = {
    [member]: wish.name,
    ...(wish.arguments === undefined ? {} : { arguments: wish.arguments }),
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': capabilities,
    },
  };
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: wish.method, params }));
  const spans = scanMessage(bytes);
  if (typeof spans === 'string') throw new Error(`the scanner refuses our own call: ${spans}`);
  const message: Message = {
    revision: '2026-07-28',
    kind: 'request',
    method: wish.method,
    id: 1,
    name: wish.name,
    params,
    bytes,
    spans: {
      id: spans.id,
      method: spans.method!,
      params: spans.params,
      name: spans.paramsMembers.get(member) ?? null,
      arguments: spans.paramsMembers.get('arguments') ?? null,
      meta: spans.paramsMembers.get('_meta') ?? null,
      outcome: null,
      metaMembers: spans.metaMembers,
    },
  };
  const target = {
    kind: KINDS[wish.method],
    tenant: 'default',
    server: 'suite',
    name: wish.name,
    exposed: wish.name,
    key: `suite/${wish.name}`,
    digest: 'd',
    manifest: 'm',
    effect: 'write',
    scopes: [],
    definition: wish.definition,
    limits: {
      cost: 1,
      maxArgumentBytes: 1_000_000,
      maxResultBytes: 1_000_000,
      maxConcurrent: 10,
      timeoutMs: 10_000,
    },
    errors: 'scrub',
  } as const satisfies Target;
  return {
    target,
    principal: PRINCIPAL,
    message,
    client: { revision: '2026-07-28', capabilities, name: 'conformance', version: '1', logLevel: null, session: null },
    answers: null,
    approved: null,
    maxResultBytes: 1_000_000,
    signal: new AbortController().signal,
    onNotification: () => {},
  };
}
