import type { BodySource } from '../../core/call.ts';
import { scanDocument } from '../../core/mcp/scanner.ts';
import { treeOf } from '../../core/mcp/tree.ts';

/**
 * A REST request as the message the pipeline reads: one `admin/call` of our own making, around what the client sent. A
 * body that is not one strict JSON object goes on as it is, so that validation.message refuses it.
 * @param operation name of the admin operation, from the closed route table
 * @param fixed arguments taken from the path; they win over a body that names them too
 */
export function adminBody(source: BodySource, operation: string, fixed: Readonly<Record<string, string>>): BodySource {
  return {
    async read(limit) {
      const bytes = await source.read(limit);
      if (typeof bytes === 'string') return bytes;
      if (bytes.length > 0) {
        const document = scanDocument(bytes);
        if (typeof document === 'string' || document.root !== 'object') return bytes;
      }
      const sent = bytes.length > 0 ? (treeOf(Buffer.from(bytes).toString('utf8')) as object) : {};
      const message = {
        jsonrpc: '2.0',
        id: 1,
        method: 'admin/call',
        params: { name: operation, arguments: { ...sent, ...fixed } },
      };
      return Buffer.from(JSON.stringify(message));
    },
  };
}
