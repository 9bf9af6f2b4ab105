/**
 * The closed table refusal → wire for revision 2026-07-28 (protocol.md 1.5, architecture.md section 4); what older
 * revisions are told instead stands in LEGACY. A control
 * returns a code; only this table says what a caller learns. `form`: `http` is a bare HTTP answer with a JSON-RPC
 * error body (no id where none was read), `rpc` a JSON-RPC error in band, `tool` a result with `isError: true` for
 * tools/call (and `rpc` -32603 or -32602 for other methods). `word` is the stable public code.
 */
export interface WireRow {
  readonly status: number;
  readonly form: 'http' | 'rpc' | 'tool';
  readonly rpc: number;
  readonly word: string;
  /** Public text: what happened and what to do next. */
  readonly text: string;
}

const row = (status: number, form: WireRow['form'], rpc: number, word: string, text: string): WireRow => ({
  status,
  form,
  rpc,
  word,
  text,
});

export const REFUSALS = {
  'transport.host': row(421, 'http', -32600, 'MISDIRECTED', 'This host name is not served here.'),
  'transport.origin': row(403, 'http', -32600, 'ORIGIN_REFUSED', 'Requests from this origin are not accepted.'),
  'transport.method': row(405, 'http', -32600, 'METHOD_NOT_ALLOWED', 'Send POST.'),
  'transport.path': row(404, 'http', -32600, 'NOT_FOUND', 'Nothing is served at this path.'),
  'transport.framing': row(400, 'http', -32600, 'BAD_REQUEST', 'The request is not framed as one HTTP/1.1 message.'),
  'transport.media_type': row(
    415,
    'http',
    -32600,
    'UNSUPPORTED_MEDIA_TYPE',
    'Send application/json in UTF-8, without content coding.',
  ),
  'transport.not_acceptable': row(
    406,
    'http',
    -32600,
    'NOT_ACCEPTABLE',
    'Accept must list application/json and text/event-stream.',
  ),
  'transport.too_large': row(
    413,
    'http',
    -32600,
    'TOO_LARGE',
    'The request is larger than this endpoint accepts; send less.',
  ),
  'transport.timeout': row(408, 'http', -32600, 'TIMEOUT', 'The request body did not arrive in time.'),
  'transport.aborted': row(400, 'http', -32600, 'ABORTED', 'The request ended before its body was complete.'),
  'transport.draining': row(503, 'http', -32603, 'UNAVAILABLE', 'This gateway is shutting down; try again.'),

  'limits.backoff': row(
    429,
    'http',
    -32600,
    'TOO_MANY_FAILURES',
    'Too many failed sign-ins from here; wait before trying again.',
  ),
  'limits.exceeded': row(
    429,
    'http',
    -32600,
    'RATE_LIMITED',
    'The limit for this caller is used up; wait and repeat the call.',
  ),
  'limits.overloaded': row(503, 'http', -32603, 'OVERLOADED', 'The gateway is at its limit; wait and repeat the call.'),
  'limits.streams': row(
    429,
    'http',
    -32600,
    'TOO_MANY_STREAMS',
    'This caller holds as many streams, sessions or waiting calls as it may; end one and try again.',
  ),
  'limits.unavailable': row(503, 'http', -32603, 'UNAVAILABLE', 'Limits could not be checked; try again.'),

  'authentication.missing': row(401, 'http', -32600, 'UNAUTHENTICATED', 'Send a bearer token made for this resource.'),
  'authentication.invalid': row(401, 'http', -32600, 'UNAUTHENTICATED', 'The token was not accepted.'),
  'authentication.expired': row(401, 'http', -32600, 'UNAUTHENTICATED', 'The token was not accepted.'),
  'authentication.wrong_audience': row(401, 'http', -32600, 'UNAUTHENTICATED', 'The token was not accepted.'),
  'authentication.unavailable': row(401, 'http', -32600, 'UNAUTHENTICATED', 'The token was not accepted.'),

  'authentication.session': row(
    404,
    'http',
    -32600,
    'SESSION_NOT_FOUND',
    'There is no such session; begin a new one with initialize.',
  ),

  'validation.encoding': row(400, 'http', -32700, 'PARSE_ERROR', 'The body is not valid UTF-8.'),
  'validation.json': row(400, 'http', -32700, 'PARSE_ERROR', 'The body is not one valid JSON text.'),
  'validation.duplicate_key': row(
    400,
    'http',
    -32600,
    'INVALID_REQUEST',
    'An object in the body names one member twice.',
  ),
  'validation.bounds': row(400, 'http', -32700, 'PARSE_ERROR', 'The body is nested too deep or has too many members.'),
  'validation.batch': row(
    400,
    'http',
    -32600,
    'INVALID_REQUEST',
    'Batches are not part of this protocol revision; send one message.',
  ),
  'validation.envelope': row(
    400,
    'http',
    -32600,
    'INVALID_REQUEST',
    'The body is not one JSON-RPC request or notification.',
  ),
  'validation.meta': row(
    400,
    'http',
    -32602,
    'INVALID_REQUEST',
    'params._meta must name io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities.',
  ),
  'validation.capability': row(
    400,
    'http',
    -32021,
    'CLIENT_CAPABILITY_MISSING',
    'This method is only for clients that declare the capability named in data.requiredCapabilities.',
  ),
  'validation.revision': row(
    400,
    'http',
    -32022,
    'UNSUPPORTED_PROTOCOL_VERSION',
    'This protocol version is not supported.',
  ),
  'validation.header_mismatch': row(
    400,
    'http',
    -32020,
    'HEADER_MISMATCH',
    'MCP-Protocol-Version, Mcp-Method and Mcp-Name must repeat what the body says.',
  ),
  'validation.method': row(404, 'http', -32601, 'UNKNOWN_METHOD', 'This method is not known.'),
  'validation.params': row(200, 'rpc', -32602, 'INVALID_PARAMS', 'The params of this method are not valid.'),
  'validation.cursor': row(200, 'rpc', -32602, 'INVALID_CURSOR', 'The cursor is not valid; start the list again.'),
  'validation.round': row(
    200,
    'rpc',
    -32602,
    'REQUEST_STATE_REFUSED',
    'requestState is not one of ours for this call, has expired or was used before; repeat the call without it.',
  ),
  'validation.arguments': row(
    200,
    'tool',
    -32602,
    'INVALID_ARGUMENTS',
    'The arguments do not match the input schema; mend them and repeat the call.',
  ),
  'validation.too_large': row(
    200,
    'tool',
    -32602,
    'ARGUMENTS_TOO_LARGE',
    'The arguments are larger than this tool accepts; send less.',
  ),

  'authorization.unknown': row(200, 'rpc', -32602, 'UNKNOWN_TARGET', 'Unknown tool, prompt or resource.'),
  'authorization.insufficient_scope': row(
    403,
    'http',
    -32600,
    'INSUFFICIENT_SCOPE',
    'The token lacks a scope this operation needs.',
  ),
  'authorization.denied': row(
    200,
    'tool',
    -32602,
    'DENIED',
    'Policy does not allow this call. Do not repeat it unchanged.',
  ),
  'authorization.unavailable': row(
    200,
    'tool',
    -32603,
    'UNAVAILABLE',
    'Policy could not be evaluated, so the call was not made; try again later.',
  ),

  'redaction.blocked': row(
    200,
    'tool',
    -32602,
    'BLOCKED_CONTENT',
    'The content holds a secret that may not pass; leave it out.',
  ),
  'redaction.unavailable': row(
    200,
    'tool',
    -32603,
    'UNAVAILABLE',
    'The answer could not be checked, so it was withheld; the call may have run.',
  ),

  'approval.required': row(
    200,
    'tool',
    -32602,
    'APPROVAL_REQUIRED',
    'A person must approve this call. After approval repeat the same call with the same arguments.',
  ),
  'approval.denied': row(
    200,
    'tool',
    -32602,
    'APPROVAL_DENIED',
    'An approver denied this call. Do not repeat it unchanged.',
  ),
  'approval.expired': row(
    200,
    'tool',
    -32602,
    'APPROVAL_EXPIRED',
    'The approval expired before it was used; repeat the call to ask again.',
  ),
  'approval.consumed': row(
    200,
    'tool',
    -32602,
    'APPROVAL_CONSUMED',
    'This approval has been used; its call is running or its outcome is unknown.',
  ),
  'approval.unavailable': row(
    200,
    'tool',
    -32603,
    'APPROVAL_UNAVAILABLE',
    'Approvals cannot be checked now, so the call was not made; try again later.',
  ),
  'approval.self': row(403, 'http', -32602, 'SELF_APPROVAL', 'The requester cannot decide on his own call.'),
  'approval.not_entitled': row(403, 'http', -32602, 'NOT_ENTITLED', 'This person is not an approver for this call.'),
  'approval.not_found': row(404, 'http', -32602, 'NOT_FOUND', 'No such approval is waiting.'),
  'approval.not_pending': row(409, 'http', -32602, 'NOT_PENDING', 'This approval has been decided already.'),

  'audit.unavailable': row(
    503,
    'http',
    -32603,
    'AUDIT_UNAVAILABLE',
    'The audit log cannot be written, so the call was not made; try again later.',
  ),
  'audit.outcome_unknown': row(
    503,
    'http',
    -32603,
    'OUTCOME_UNKNOWN',
    'The call was made but its outcome could not be recorded; do not assume it failed.',
  ),

  'upstream.timeout': row(
    200,
    'tool',
    -32603,
    'UPSTREAM_TIMEOUT',
    'The tool did not answer in time; it may still have run. Look before repeating the call.',
  ),
  'upstream.unavailable': row(
    200,
    'tool',
    -32603,
    'UPSTREAM_UNAVAILABLE',
    'The tool server cannot be reached; the call was not made. Try again later.',
  ),
  'upstream.protocol': row(
    200,
    'tool',
    -32603,
    'UPSTREAM_PROTOCOL',
    'The tool server answered in a way this gateway does not accept; the call may have run. Look before repeating it.',
  ),
  'upstream.too_large': row(
    200,
    'tool',
    -32603,
    'RESULT_TOO_LARGE',
    'The answer is larger than this tool may return; ask for less.',
  ),
  'upstream.capability': row(
    400,
    'http',
    -32021,
    'CLIENT_CAPABILITY_MISSING',
    'The tool asks for something this client cannot answer, so the call was not completed.',
  ),
  'upstream.state_lost': row(
    200,
    'rpc',
    -32603,
    'CALL_STATE_LOST',
    'The state of this call is lost; it may have run. Do not repeat it without looking.',
  ),
  'upstream.cancelled': row(200, 'rpc', -32603, 'CANCELLED', 'The call was cancelled.'),

  'errors.internal': row(
    200,
    'rpc',
    -32603,
    'INTERNAL_ERROR',
    'Something failed inside; quote the correlation id to the operator.',
  ),
} as const satisfies Record<string, WireRow>;

export type RefusalCode = keyof typeof REFUSALS;

/**
 * Rows that differ for 2025-11-25 and older: codes -32020 to -32022 do not exist there, and what concerns one method is
 * said in band (protocol.md 1.5, 2.2 B). A missing resource is -32002 there, which wire.ts adds by method.
 */
const LEGACY: Partial<Record<RefusalCode, Partial<WireRow>>> = {
  'validation.revision': { rpc: -32600 },
  'validation.capability': { rpc: -32600 },
  'validation.header_mismatch': { rpc: -32600 },
  'validation.method': { status: 200, form: 'rpc' },
  'upstream.capability': { status: 200, form: 'tool', rpc: -32603 },
};

/** The row of a refusal in the words of an era. */
export function rowOf(code: RefusalCode, modern: boolean): WireRow {
  const row: WireRow = REFUSALS[code];
  const legacy = modern ? undefined : LEGACY[code];
  return legacy === undefined ? row : { ...row, ...legacy };
}
/** The codes of one control. */
export type RefusalsOf<Control extends string> = Extract<RefusalCode, `${Control}.${string}`>;
