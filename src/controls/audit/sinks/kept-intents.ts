import { Intents } from '../export/intents.ts';
import type { OpenRecord } from '../reader/read.ts';

/** Answers the same when a record is put into words again, because what it was sent with was not taken. */
export class KeptIntents extends Intents {
  readonly #answers = new WeakMap<OpenRecord, { readonly intent: ReturnType<Intents['of']> }>();

  override of(record: OpenRecord): ReturnType<Intents['of']> {
    let answer = this.#answers.get(record);
    if (!answer) {
      answer = { intent: super.of(record) };
      this.#answers.set(record, answer);
    }
    return answer.intent;
  }
}
