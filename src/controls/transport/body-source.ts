import type { IncomingMessage } from 'node:http';
import type { BodyFault, BodySource } from '../../core/call.ts';
import { Gathered } from '../../core/gathered.ts';
import { InternalError } from '../../core/internal-error.ts';

const EMPTY = new Uint8Array(0);

/**
 * The body of a node request, read once. Holds at most `maxBytes`: the byte after that ends the reading, whatever was
 * declared. The deadline is absolute, so a body that trickles ends like one that stands still; since sizes are bounded,
 * that is a least rate as well. After a fault nothing more is read: the answer has to close the connection.
 */
export function nodeBody(req: IncomingMessage): RequestBody {
  return new RequestBody(req);
}

export class RequestBody implements BodySource {
  readonly #req: IncomingMessage;
  /** As the head declares it; -1: in chunks. */
  readonly #length: number;
  #asked = false;
  #taken = false;

  constructor(req: IncomingMessage) {
    this.#req = req;
    const declared = req.headers['content-length'];
    if (declared !== undefined) this.#length = Number(declared);
    else this.#length = req.headers['transfer-encoding'] === undefined ? 0 : -1;
  }

  /** Nothing of this request is left on the connection: another may follow it there. */
  get done(): boolean {
    return this.#taken || this.#req.complete;
  }

  read({ maxBytes, timeoutMs }: { maxBytes: number; timeoutMs: number }) {
    if (this.#asked)
      throw new InternalError('transport.body_read_twice', 'the body of a call was asked for a second time');
    this.#asked = true;
    const req = this.#req;
    if (this.#length > maxBytes) return 'too_large';
    if (this.#length === 0) return this.#took(EMPTY);
    // All of it came with the head, as it usually does: there is nothing to wait for.
    if (req.readableLength === this.#length) return this.#took(buffered(req, this.#length));
    if (req.destroyed && !req.complete) return 'aborted';
    return collect(req, maxBytes, timeoutMs).then((read) => this.#took(read));
  }

  #took<T extends Uint8Array | BodyFault>(read: T): T {
    this.#taken = typeof read !== 'string';
    return read;
  }
}

function buffered(req: IncomingMessage, length: number): Uint8Array {
  const pieces: Buffer[] = [];
  for (let size = 0; size < length; size += pieces.at(-1)!.length) pieces.push(req.read() as Buffer);
  // Only what flows comes to its end; until then an idle connection would hold on to the request, its credential included.
  req.resume();
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length);
}

function collect(req: IncomingMessage, maxBytes: number, timeoutMs: number): Promise<Uint8Array | BodyFault> {
  return new Promise((resolve) => {
    let first: Buffer | null = null;
    let all: Gathered | null = null;
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
        return;
      }
      if (all === null) {
        all = new Gathered();
        all.add(first);
      }
      all.add(chunk);
    };
    const onEnd = () => {
      finish(all?.take() ?? first ?? EMPTY);
    };
    const onGone = () => finish('aborted');

    const deadline = setTimeout(() => finish('timeout'), timeoutMs);
    req.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

function ignore(): void {}
