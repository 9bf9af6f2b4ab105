import type { IncomingMessage } from 'node:http';
import type { BodyFault, BodySource } from '../../core/call.ts';
import { InternalError } from '../../core/internal-error.ts';

const EMPTY = new Uint8Array(0);

/**
 * The body of a node request, read once. Holds at most `maxBytes`: the byte after that ends the reading, whatever was
 * declared. The deadline is absolute, so a body that trickles ends like one that stands still; since sizes are bounded,
 * that is a least rate as well. After a fault nothing more is read: the answer has to close the connection.
 */
export function nodeBody(req: IncomingMessage): BodySource {
  let asked = false;
  return {
    read({ maxBytes, timeoutMs }) {
      if (asked) throw new InternalError('transport.body_read_twice', 'the body of a call was asked for a second time');
      asked = true;
      const declared = req.headers['content-length'];
      const length = declared === undefined ? -1 : Number(declared);
      if (length > maxBytes) return 'too_large';
      if (length === 0 || (declared === undefined && req.headers['transfer-encoding'] === undefined)) return EMPTY;
      if (req.destroyed && !req.complete) return 'aborted';
      return collect(req, maxBytes, timeoutMs);
    },
  };
}

function collect(req: IncomingMessage, maxBytes: number, timeoutMs: number): Promise<Uint8Array | BodyFault> {
  return new Promise((resolve) => {
    let first: Buffer | null = null;
    let more: Buffer[] | null = null;
    let size = 0;

    const finish = (outcome: Uint8Array | BodyFault) => {
      clearTimeout(deadline);
      req.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      // A request that is destroyed later emits 'error'; by then somebody has to listen, or the process ends.
      if (typeof outcome === 'string') req.on('error', ignore).pause();
      resolve(outcome);
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) return finish('too_large');
      if (first === null) {
        first = chunk; // the usual body arrives in one piece and is not copied
      } else {
        more ??= [];
        more.push(chunk);
      }
    };
    const onEnd = () => {
      if (first === null) finish(EMPTY);
      else finish(more === null ? first : Buffer.concat([first, ...more], size));
    };
    const onGone = () => finish('aborted');

    const deadline = setTimeout(() => finish('timeout'), timeoutMs);
    req.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

function ignore(): void {}
