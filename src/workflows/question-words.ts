import type { Revision } from '../core/call.ts';
import { handle } from '../core/ids.ts';
import { type NewMember, objectEdits, patch } from '../core/mcp/patch.ts';
import { scanDocument } from '../core/mcp/scanner.ts';
import type { Question } from '../core/questions.ts';

/** What a legacy client finds in a question, by revision; whoever declared less is not asked at all. */
const MODE_SINCE: Revision = '2025-11-25';

/**
 * The params of a question in the words of the client's revision: everything else stays byte for byte. `mode` is
 * unknown before 2025-11-25 (form alone), that revision wants an `elicitationId` with every URL and no later one knows
 * it. Tasks are not bridged, so a question never asks to be made one. Null: these are no params.
 */
export function wordedFor(revision: Revision, { method, params }: Question): Uint8Array | null {
  const document = scanDocument(params);
  if (typeof document === 'string' || document.members === null) return null;
  const { members, value } = document;
  const remove = [members.get('task')];
  const insert: NewMember[] = [];
  if (method === 'elicitation/create') {
    const mode = members.get('mode');
    const url = mode !== undefined && textAt(params, mode) === '"url"';
    if (revision < MODE_SINCE) remove.push(mode);
    if (revision > MODE_SINCE) remove.push(members.get('elicitationId'));
    if (revision === MODE_SINCE && url && !members.has('elicitationId'))
      insert.push({ name: 'elicitationId', value: Buffer.from(`"${handle()}"`) });
  }
  const removed = remove.filter((span) => span !== undefined);
  const whole = params.subarray(value.start, value.end);
  if (removed.length === 0 && insert.length === 0) return whole;
  return patch(params, objectEdits(params, value, { remove: removed, insert }));
}

function textAt(bytes: Uint8Array, { start, end }: { start: number; end: number }): string {
  return Buffer.from(bytes.subarray(start, end)).toString('utf8');
}
