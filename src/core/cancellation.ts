import type { CallSignal } from './call.ts';

/** Ends a call from outside. Most calls are never cancelled and heard by one listener at most: there is no list until then. */
export class Cancellation implements CallSignal {
  aborted = false;
  #first: (() => void) | null = null;
  #more: (() => void)[] | null = null;

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted || this.#first === listener || this.#more?.includes(listener)) return;
    if (this.#first === null) this.#first = listener;
    else this.#more = [...(this.#more ?? []), listener];
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    if (this.#first === listener) this.#first = null;
    else if (this.#more) this.#more = this.#more.filter((one) => one !== listener);
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    const [first, more] = [this.#first, this.#more];
    this.#first = null;
    this.#more = null;
    first?.();
    for (const listener of more ?? []) listener();
  }
}
