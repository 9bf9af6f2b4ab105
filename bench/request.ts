import { EXPOSED } from './tool.ts';

/** Counters start here and stay below ten times this: seven digits, so that the request never changes its length. */
const FIRST = 1_000_000;

/** About 450 bytes of ordinary prose with numbers, so that detectors have something to look at and nothing to find. */
const TEXT =
  'Please check the shipment that left the warehouse in Rotterdam on Tuesday: 14 pallets of ceramic tiles, 3 of which ' +
  'were reported damaged by the carrier. The customer wants either a replacement by the end of the month or a credit of ' +
  '15 percent; the account manager prefers the second. The last comparable case took 9 working days, and its notes are ' +
  'in the usual folder. Answer in a few sentences, and say which of the two you would choose.';

/**
 * The request of one connection, the same bytes for every system. A counter in id, nonce and arguments is raised in
 * place before each call, so that no two calls are equal.
 */
export class Request {
  readonly bytes: Buffer;
  /** What the answer must repeat: name of the connection and counter, a view of `bytes`. */
  readonly nonce: Buffer;
  readonly #counters: readonly number[];
  #count = FIRST;

  /** @param token '' for none */
  constructor(token: string, connection: number) {
    const name = `n${String(connection).padStart(4, '0')}x${Math.random().toString(36).slice(2, 6).padEnd(4, '0')}`;
    const nonce = `${name}-${FIRST}`;
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: FIRST,
      method: 'tools/call',
      params: {
        name: EXPOSED,
        arguments: { nonce, count: FIRST, text: TEXT },
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
          'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
        },
      },
    });
    const head = [
      'POST /mcp HTTP/1.1',
      'Host: localhost',
      ...(token === '' ? [] : [`Authorization: Bearer ${token}`]),
      'Content-Type: application/json',
      'Accept: application/json, text/event-stream',
      'MCP-Protocol-Version: 2026-07-28',
      'Mcp-Method: tools/call',
      `Mcp-Name: ${EXPOSED}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      '',
    ].join('\r\n');
    this.bytes = Buffer.from(head + body);
    const at = this.bytes.indexOf(nonce);
    this.nonce = this.bytes.subarray(at, at + nonce.length);
    const counters: number[] = [];
    const digits = String(FIRST);
    for (let i = this.bytes.indexOf(digits, head.length); i !== -1; i = this.bytes.indexOf(digits, i + 1))
      counters.push(i);
    this.#counters = counters;
  }

  /** Makes it the next request. Only while the connection waits for nothing: the bytes may still be on their way before. */
  next(): Buffer {
    const { bytes } = this;
    this.#count += 1;
    for (const at of this.#counters) {
      let rest = this.#count;
      for (let i = at + 6; i >= at; i--) {
        bytes[i] = 0x30 + (rest % 10);
        rest = Math.floor(rest / 10);
      }
    }
    return bytes;
  }
}
