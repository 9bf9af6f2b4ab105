import { ROOM_BYTES } from './record.ts';

/** What a payload part may hold, each as the bytes that were received or sent. */
export const PAYLOAD_ITEMS = ['arguments', 'reply', 'diagnostics', 'event'] as const;
export type PayloadItem = (typeof PAYLOAD_ITEMS)[number];
export type Payload = readonly (readonly [PayloadItem, Uint8Array])[];

/** Per item: length of the name (1) ‖ name ‖ length (4, big-endian) ‖ bytes; with free bytes in front. */
export function encodePayload(items: Payload): Buffer {
  let length = ROOM_BYTES;
  for (const [name, bytes] of items) length += 1 + name.length + 4 + bytes.length;
  const room = Buffer.allocUnsafe(length);
  let at = ROOM_BYTES;
  for (const [name, bytes] of items) {
    room[at] = name.length;
    room.write(name, at + 1, 'latin1');
    at = room.writeUInt32BE(bytes.length, at + 1 + name.length);
    room.set(bytes, at);
    at += bytes.length;
  }
  return room;
}

/** Reads what `encodePayload` wrote, without r. @throws RangeError when the lengths do not add up */
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
