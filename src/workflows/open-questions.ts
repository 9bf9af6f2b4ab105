import { createHmac } from 'node:crypto';
import { deriveKey } from '../core/crypto/envelope.ts';
import type { SymmetricKey } from '../core/crypto/keys.ts';
import type { QuestionAnswer } from '../core/questions.ts';

/** Whom a question was put to: nobody else's response is taken for an answer to it. */
export interface Asked {
  /** Id of the session. */
  readonly session: string;
  /** `Principal.key`. */
  readonly principal: string;
}

interface Open extends Asked {
  /** null: its session has ended, nobody can answer any more. */
  readonly answered: (answer: QuestionAnswer | null) => void;
}

export const TAKINGS = ['taken', 'unknown', 'foreign'] as const;
export type Taking = (typeof TAKINGS)[number];

/**
 * Questions that wait for a response of a legacy client, by the id we gave them: `r1.<node>.<call>.<n>.<mac>`
 * (protocol.md 2.4). The id names its place, so that any node can say whose it is; the MAC over session and principal
 * makes it nobody's guess. An entry is taken out by whoever answers first: a second response finds nothing.
 */
export class OpenQuestions {
  readonly #open = new Map<string, Open>();
  readonly #max: number;
  readonly #node: string;
  readonly #key: Uint8Array;

  /** @param key current key of class `state-seal` */
  constructor(options: { readonly key: SymmetricKey; readonly node: string; readonly max: number }) {
    this.#key = deriveKey(options.key.secret, 'question id 1');
    this.#node = options.node;
    this.#max = options.max;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @param n place of the question among those of this call. @returns its id, or null when too many wait already */
  put(whom: Asked, call: string, n: number, answered: Open['answered']): string | null {
    if (this.#open.size >= this.#max) return null;
    const name = `r1.${this.#node}.${call}.${n}`;
    const mac = createHmac('sha256', this.#key).update(JSON.stringify([name, whom.session, whom.principal]));
    const id = `${name}.${mac.digest().subarray(0, 16).toString('base64url')}`;
    this.#open.set(id, { ...whom, answered });
    return id;
  }

  /** Hands over a response. `foreign`: the question is open, but was not put to this session or principal. */
  take(whom: Asked, id: string, answer: QuestionAnswer): Taking {
    const open = this.#open.get(id);
    if (!open) return 'unknown';
    if (open.session !== whom.session || open.principal !== whom.principal) return 'foreign';
    this.#open.delete(id);
    open.answered(answer);
    return 'taken';
  }

  /** The session was ended by its client: what it was asked will not be answered. */
  endSession(session: string): void {
    for (const [id, open] of this.#open) {
      if (open.session !== session) continue;
      this.#open.delete(id);
      open.answered(null);
    }
  }

  /** Nobody waits for it any more. */
  withdraw(id: string): void {
    this.#open.delete(id);
  }
}
