import type { Reply } from '../../core/call.ts';
import { treeOf } from '../../core/mcp/tree.ts';

/** Stands in `_meta` of an outcome that was given before: the call did not run again. */
export const REPLAYED = 'gatewrit/replayed';

export interface StoredOutcome {
  /** `asking`: a question in the middle of the call, which is no outcome. */
  readonly state: 'returned' | 'failed' | 'asking';
  /** A JSON-RPC result object with the mark, or null where the reply cannot be given twice. */
  readonly bytes: Uint8Array | null;
}

/** What an identical repeat will get. The reply's own bytes are kept; only the mark is put in. */
export function outcomeOf(reply: Reply): StoredOutcome {
  const text = Buffer.from(reply.bytes).toString('utf8');
  const tree = treeOf(text);
  if (!isObject(tree)) return { state: reply.kind === 'error' ? 'failed' : 'returned', bytes: null };
  if (reply.kind === 'error') return { state: 'failed', bytes: Buffer.from(JSON.stringify(errorAsResult(tree))) };
  if (tree['resultType'] === 'input_required') return { state: 'asking', bytes: null };
  const marked = markReplayed(text, tree);
  return {
    state: tree['isError'] === true ? 'failed' : 'returned',
    bytes: marked === null ? null : Buffer.from(marked),
  };
}

/** A protocol error has no result to mark: the repeat gets its message as a failed tool result. */
function errorAsResult(error: Record<string, unknown>): object {
  const message = typeof error['message'] === 'string' ? error['message'] : 'no message';
  return {
    resultType: 'complete',
    content: [{ type: 'text', text: `The approved call was made and failed: ${message}` }],
    isError: true,
    _meta: { [REPLAYED]: true },
  };
}

function markReplayed(text: string, tree: Record<string, unknown>): string | null {
  const mark = `${JSON.stringify(REPLAYED)}:true`;
  const meta = tree['_meta'];
  if (meta === undefined) return insertAfter(text, text.indexOf('{'), `"_meta":{${mark}}`, Object.keys(tree).length);
  if (!isObject(meta) || REPLAYED in meta) return null;
  return insertAfter(text, memberStart(text, '_meta'), mark, Object.keys(meta).length);
}

/** Puts members first into the object that opens at `brace`. */
function insertAfter(text: string, brace: number, members: string, existing: number): string | null {
  if (text[brace] !== '{') return null;
  return `${text.slice(0, brace + 1)}${members}${existing > 0 ? ',' : ''}${text.slice(brace + 1)}`;
}

/** Index where the value of a top-level member begins. The text is known to be a valid object that has it. */
function memberStart(text: string, name: string): number {
  let depth = 0;
  for (const token of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/gs)) {
    const [lexeme] = token;
    if (lexeme === '{' || lexeme === '[') depth++;
    else if (lexeme === '}' || lexeme === ']') depth--;
    else if (depth === 1 && JSON.parse(lexeme) === name) {
      const colon = /\s*:\s*/y;
      colon.lastIndex = token.index + lexeme.length;
      if (colon.test(text)) return colon.lastIndex;
    }
  }
  return -1;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
