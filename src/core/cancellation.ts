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
    this.#tell();
  }

  /** As an AbortSignal does: what one throws keeps no other from hearing it, and who was taken away meanwhile hears nothing. */
  #tell(): void {
    const listener = this.#first ?? this.#more?.[0];
    if (listener === undefined) return;
    this.removeEventListener('abort', listener);
    try {
      listener();
    } finally {
      this.#tell();
    }
  }
}
