import { REFUSALS, type RefusalCode, type WireRow } from '../../src/core/mcp/refusals.ts';
import { RECOVERY } from './recovery.ts';

const HEAD = `# Refusals

<!-- Written by docs/reference/generate.ts from src/core/mcp/refusals.ts. Do not edit: run \`node docs/reference/generate.ts\`. -->

Every way this gateway says no. The *code* stands in log and audit record; the caller sees only *status*, *word* and *text*,
with the correlation id that log and record bear. Form: **http** is a bare HTTP answer with a JSON-RPC error body, **rpc** a
JSON-RPC error in an HTTP 200, **tool** a result with \`isError: true\` that the model reads (for methods other than
\`tools/call\` the JSON-RPC error beside it). Codes are never reused. Behind the text stand, where there are such: the path of the argument, the
scopes it takes, the seconds to wait, the approval; so a model that reads the message alone can go on.

\`TOOL_EXECUTION_ERROR\` is no refusal: the tool itself failed. What it said stands behind the word unless that were
diagnostics; those the operator finds with \`gatewrit audit show CORRELATION-ID\`. For a model: read what the tool says and
mend the call; where it says nothing, do not repeat the call unchanged but tell the user the correlation id.
`;

/** docs/reference/refusals.md, from the one table refusal → wire. */
export function refusalsPage(): string {
  const controls = Map.groupBy(Object.entries<WireRow>(REFUSALS), ([code]) => code.slice(0, code.indexOf('.')));
  const sections = [...controls].map(([control, rows]) => {
    const lines = rows.map(
      ([code, { status, form, rpc, word, text }]) =>
        `| \`${code}\` | ${status} | ${form} | ${rpc} | \`${word}\` | ${text} | ${RECOVERY[code as RefusalCode].who}: ${RECOVERY[code as RefusalCode].what} |`,
    );
    return `## ${control}\n\n| code | status | form | JSON-RPC | word | text | what to do |\n|---|---|---|---|---|---|---|\n${lines.join('\n')}\n`;
  });
  return `${HEAD}\n${sections.join('\n')}`;
}
