import type { InternalError } from '../../core/internal-error.ts';
import { retired } from './record/retirement.ts';

/** Whether this process's log has ended for good: it failed, or its replica was retired. Told to the owner once. */
export class Ended {
  readonly #replica: string;
  readonly #onFatal: (error: InternalError) => void;
  #error: InternalError | null = null;
  #retired: boolean;

  constructor(replica: string, isRetired: boolean, onFatal: (error: InternalError) => void) {
    this.#replica = replica;
    this.#retired = isRetired;
    this.#onFatal = onFatal;
  }

  /** It has failed. */
  get failed(): boolean {
    return this.#error !== null;
  }

  /** In words, or null: it goes on. */
  get why(): string | null {
    if (this.#error) return 'the audit log has failed';
    return this.#retired ? 'this replica of the audit log was retired' : null;
  }

  /** @throws InternalError when it has ended */
  refuse(): void {
    if (this.#error) throw this.#error;
    if (this.#retired) throw retired(this.#replica);
  }

  retire(): void {
    this.#retired = true;
  }

  /** The first cause is the one that counts. */
  readonly halt = (error: InternalError): void => {
    if (this.#error) return;
    this.#error = error;
    this.#onFatal(error);
  };
}
