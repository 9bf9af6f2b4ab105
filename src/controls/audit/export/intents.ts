import type { OpenRecord } from '../reader/read.ts';

type Meta = NonNullable<OpenRecord['meta']>;
const REMEMBERED = 10_000;

/** Remembers the intents of calls that have not ended, while records come in order: an outcome does not say again what its intent said. */
export class Intents {
  readonly #open = new Map<string, Meta>();

  /** What the intent of this record's call said; undefined for other records, and when it came too long ago. */
  of({ envelope, meta }: OpenRecord): Meta | undefined {
    if (envelope.kind === 'intent' && meta) {
      if (this.#open.size >= REMEMBERED) this.#open.delete(this.#open.keys().next().value!);
      this.#open.set(envelope.id, meta);
    }
    const intent = meta?.['intent'];
    if (envelope.kind !== 'outcome' || typeof intent !== 'string') return undefined;
    const found = this.#open.get(intent);
    this.#open.delete(intent);
    return found;
  }
}
