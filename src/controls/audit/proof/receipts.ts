import { type Cipheriv, createCipheriv, createDecipheriv } from 'node:crypto';

/** 16 bytes in base64url behind it. */
const PREFIX = 'gwr1.';
const RECEIPT = /^gwr1\.([A-Za-z0-9_-]{22})$/;
const BLOCK_BYTES = 16;
const INDEX_BYTES = 6;
/** Of a record's id (UUIDv7) everything behind its time. */
const REST_BYTES = BLOCK_BYTES - INDEX_BYTES;

/** What the key of a replica's receipts is derived for, from a key that outlives every KEK. */
export function receiptPurpose(replica: string): string {
  return `receipts\n${replica}`;
}

/**
 * Names a record to who has the key, and tells nobody else anything: journal index ‖ the random end of the record's id,
 * through one AES-256 block. A block cipher alone is right here: each block is encrypted once, no two are alike, and the
 * redundancy is the record itself. A guessed receipt names a record with probability 2^-74.
 */
export class Receipts {
  /** One object for all: making one would cost more than the rest of a receipt. */
  readonly #cipher: Cipheriv;
  readonly #block = Buffer.alloc(BLOCK_BYTES);

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    this.#cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  }

  /** @param id UUIDv7 in lower case */
  text(index: number, id: string): string {
    fill(this.#block, index, id);
    return PREFIX + this.#cipher.update(this.#block).toString('base64url');
  }
}

export interface OpenedReceipt {
  readonly index: number;
  /** Is this the id of the record that it was made for? */
  fits(id: string): boolean;
}

/**
 * What a receipt (attacker-controlled) says under this key; null when it has not the form of one. It is genuine only if
 * the record at `index` fits: every 16 bytes open to something.
 */
export function openReceipt(key: Uint8Array, text: string): OpenedReceipt | null {
  const sealed = RECEIPT.exec(text)?.[1];
  const bytes = Buffer.from(sealed ?? '', 'base64url');
  // Four bits of the last character mean nothing: a receipt must not have sixteen spellings.
  if (sealed === undefined || bytes.toString('base64url') !== sealed) return null;
  const block = createDecipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(bytes);
  const index = block.readUIntBE(0, INDEX_BYTES);
  const expected = Buffer.alloc(BLOCK_BYTES);
  return {
    index,
    fits(id) {
      fill(expected, index, id);
      return expected.equals(block);
    },
  };
}

/** Has this text the form of a receipt? */
export function isReceipt(text: string): boolean {
  return RECEIPT.test(text);
}

/** xxxxxxxx-xxxx-7xxx-yxxx-xxxxxxxxxxxx: where the bytes behind the time begin, two digits each. */
const DIGITS = [14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;

function fill(block: Buffer, index: number, id: string): void {
  block.writeUIntBE(index, 0, INDEX_BYTES);
  for (let i = 0; i < REST_BYTES; i++) {
    const at = DIGITS[i]!;
    block[INDEX_BYTES + i] = (digit(id.charCodeAt(at)) << 4) | digit(id.charCodeAt(at + 1));
  }
}

/** Of a lower-case hexadecimal digit. */
function digit(code: number): number {
  return code <= 57 ? code - 48 : code - 87;
}
