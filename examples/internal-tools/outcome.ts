/** A result as text and as structure, the way clients of both kinds want it. */
export function succeeded(value: object) {
  return { content: [{ type: 'text' as const, text: JSON.stringify(value) }] };
}

/** A failure as it is, with everything a developer would like to see: taking diagnostics out is the gateway's work. */
export function failed(error: unknown) {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { isError: true, content: [{ type: 'text' as const, text }] };
}
