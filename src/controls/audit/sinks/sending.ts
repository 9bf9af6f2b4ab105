import type { Store } from '../../../core/store/store.ts';
import type { LogReader, OpenRecord } from '../reader/read.ts';
import { type Carrier, SinkBroken } from './following.ts';

/** Where opened records go: a collector, a file. */
export interface RecordSender {
  /** Resolves when the other side holds them. Rejects when they are to be sent again. */
  send(records: readonly OpenRecord[], signal: AbortSignal): Promise<void>;
  close?(): Promise<void> | void;
}

interface SendingOptions {
  readonly name: string;
  readonly replica: string;
  readonly reader: LogReader;
  readonly store: Store;
  readonly utc: () => number;
  readonly batchRecords: number;
  readonly sender: RecordSender;
}

const TABLE = 'audit_sinks';

/**
 * Sends records on, in order, each at least once: the cursor in the store moves after the other side has answered. What
 * is sent twice after a crash has the same origin and index.
 */
export class RecordSending implements Carrier {
  readonly #options: SendingOptions;
  readonly #key: string;
  /** A batch that was not taken: it is sent again before anything else. */
  #held: readonly OpenRecord[] = [];
  #cursor: { next: number; version: number } | null = null;

  constructor(options: SendingOptions) {
    this.#options = options;
    this.#key = `${options.replica}/${options.name}`;
  }

  async carry(signal: AbortSignal): Promise<void> {
    const { reader, replica, batchRecords } = this.#options;
    this.#cursor ??= await this.#found();
    if (this.#held.length > 0) await this.#send(this.#held, signal);
    let batch: OpenRecord[] = [];
    for await (const record of reader.follow(replica, this.#cursor.next)) {
      signal.throwIfAborted();
      batch.push(record);
      if (batch.length < batchRecords) continue;
      await this.#send(batch, signal);
      batch = [];
    }
    if (batch.length > 0) await this.#send(batch, signal);
  }

  async close(): Promise<void> {
    await this.#options.sender.close?.();
  }

  async #found(): Promise<{ next: number; version: number }> {
    const { store, utc, reader, replica, name } = this.#options;
    const row = await store.get(TABLE, this.#key, utc());
    if (!row) return { next: 0, version: 0 };
    const next = nextIn(Buffer.from(row.value).toString());
    if (next === null || next > reader.durable(replica))
      throw new SinkBroken(`${name} had come to record ${next}, and the log has ${reader.durable(replica)}`);
    return { next, version: row.version };
  }

  async #send(batch: readonly OpenRecord[], signal: AbortSignal): Promise<void> {
    const { sender, store, utc } = this.#options;
    this.#held = batch;
    await sender.send(batch, signal);
    this.#held = [];
    const next = batch.at(-1)!.index + 1;
    const value = Buffer.from(JSON.stringify({ next, v: 1 }));
    const { version: expect } = this.#cursor!;
    const version = await store.set(TABLE, this.#key, value, { expect, expiresAt: null, now: utc() });
    this.#cursor = version === null ? null : { next, version };
    if (version === null) throw new Error('another process moved the cursor of this sink');
  }
}

function nextIn(text: string): number | null {
  const { next, v } = JSON.parse(text) as { next?: unknown; v?: unknown };
  return v === 1 && Number.isSafeInteger(next) && (next as number) >= 0 ? (next as number) : null;
}
