import assert from 'node:assert/strict';

/** What an answer says besides its receipt; that it has one is part of what is expected of it. */
export function bare(result: unknown): Record<string, unknown> {
  const { _meta, ...rest } = result as { _meta?: Record<string, unknown> };
  const { 'gatewrit/receipt': receipt, ...meta } = _meta ?? {};
  assert.match(String(receipt), /^gwr1\.[A-Za-z0-9_-]{22}$/);
  return Object.keys(meta).length > 0 ? { ...rest, _meta: meta } : rest;
}

/** The same of a whole message that bears a result. */
export function bareMessage(message: unknown): Record<string, unknown> {
  const { result, ...envelope } = message as { result?: unknown };
  return { ...envelope, result: bare(result) };
}
