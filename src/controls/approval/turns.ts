/** Lets acts on one place happen one after the other within this process; other processes meet in the store. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  async run<T>(place: string, act: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(place) ?? Promise.resolve()).then(act, act);
    this.#last.set(place, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(place) === turn) this.#last.delete(place);
    }
  }
}
