import type { Plaintext } from './plaintext.ts';

/** What a payload part may hold, each as the bytes that were received or sent. */
export const PAYLOAD_ITEMS = ['arguments', 'answers', 'reply', 'diagnostics', 'event'] as const;
export type PayloadItem = (typeof PAYLOAD_ITEMS)[number];
export type Payload = readonly (readonly [PayloadItem, Uint8Array])[];

/** Per item: length of the name (1) ‖ name ‖ length (4, big-endian) ‖ bytes. The bytes MUST stay as they are. */
export class PayloadBytes implements Plaintext {
  readonly length: number;
  readonly #items: Payload;

  constructor(items: Payload) {
    let length = 0;
    for (const [name, bytes] of items) length += 1 + name.length + 4 + bytes.length;
    this.length = length;
    this.#items = items;
  }

  writeInto(into: Buffer, at: number): number {
    let place = at;
    for (const [name, bytes] of this.#items) {
      into[place] = name.length;
      into.write(name, place + 1, 'latin1');
      place = into.writeUInt32BE(bytes.length, place + 1 + name.length);
      into.set(bytes, place);
      place += bytes.length;
    }
    return place;
  }
}

/** Reads what `PayloadBytes` wrote, without r. @throws RangeError when the lengths do not add up */
export function decodePayload(plaintext: Buffer): Map<string, Buffer> {
  const items = new Map<string, Buffer>();
  let at = 0;
  while (at < plaintext.length) {
    const end = at + 1 + plaintext.readUInt8(at);
    const name = plaintext.toString('latin1', at + 1, end);
    const length = plaintext.readUInt32BE(end);
    at = end + 4 + length;
    if (at > plaintext.length) throw new RangeError('a payload item is cut');
    items.set(name, plaintext.subarray(end + 4, at));
  }
  return items;
}
