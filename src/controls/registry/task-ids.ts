import type { CallWith, TaskRef } from '../../core/call.ts';
import { deriveKey, type SealKey, seal, sealKey, unseal } from '../../core/crypto/envelope.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';

/** Where an id is good: this tenant, caller and endpoint. Anywhere else it does not open at all. */
type Place = Pick<CallWith<'endpoint' | 'principal'>, 'endpoint' | 'principal'>;
/** A call that began a task. */
export type BeganTask = Place & CallWith<'message' | 'target' | 'decision'>;

/** What an id names: which target it is a task of has to be compared with what is pinned now. */
export interface OpenedTask {
  /** Name under which the tool was called at this endpoint. */
  readonly name: string;
  readonly key: string;
  readonly digest: string;
  readonly task: TaskRef;
}

/** No task is heard of for longer, whatever its server says: ms. */
export const MAX_TASK_LIFE_MS = 86_400_000;
const MAX_SEALED = 4_096;

/** What is sealed. Short names: it travels with every request. */
interface Payload {
  readonly n: string;
  readonly k: string;
  readonly d: string;
  /** The upstream's id. */
  readonly u: string;
  /** Begun at, ends at: ms UTC. */
  readonly i: number;
  readonly e: number;
  /** Redaction profile and cap of the answers, as policy demanded of the call that began it. */
  readonly r: string | null;
  readonly c: number | null;
}

/**
 * Ids of tasks as clients get them: the upstream's id, sealed under a key derived from the state seal for this purpose
 * alone. Nothing is stored; any process with the key opens it. Possession is no authority: whoever brings one is judged
 * for the target again.
 */
export class TaskIds {
  readonly #keys: readonly SealKey[];

  constructor(keys: KeyPairOf<SymmetricKey>) {
    this.#keys = keys.flatMap((key) => (key ? [sealKey(deriveKey(key.secret, 'task id 1'))] : []));
  }

  /** @param ttlMs how long the upstream keeps it; null: for ever */
  seal(call: BeganTask, id: string, ttlMs: number | null, utc: number): string {
    const { message, target, decision } = call;
    const { redaction, maxResultBytes } = decision.obligations;
    const payload: Payload = {
      n: message.name,
      k: target.key,
      d: target.digest,
      u: id,
      i: utc,
      e: utc + Math.min(ttlMs ?? MAX_TASK_LIFE_MS, MAX_TASK_LIFE_MS),
      r: redaction,
      c: maxResultBytes,
    };
    return seal(this.#keys[0]!, Buffer.from(JSON.stringify(payload)), placeOf(call)).toString('base64url');
  }

  /** Null for an id (attacker-controlled) that is none of ours, not for this caller here, or whose time is over. */
  open(place: Place, sealed: string, utc: number): OpenedTask | null {
    if (sealed.length > MAX_SEALED) return null;
    const bytes = Buffer.from(sealed, 'base64url');
    // One task has one spelling.
    if (bytes.toString('base64url') !== sealed) return null;
    for (const key of this.#keys) {
      const plain = unseal(key, bytes, placeOf(place));
      if (!plain) continue;
      const { n, k, d, u, i, e, r, c } = JSON.parse(plain.toString()) as Payload;
      // A clock that was set back makes nothing longer.
      if (utc >= e || utc < i - MAX_TASK_LIFE_MS) return null;
      return { name: n, key: k, digest: d, task: { id: u, obligations: { redaction: r, maxResultBytes: c } } };
    }
    return null;
  }
}

function placeOf({ endpoint, principal }: Place): string {
  return `task id ${JSON.stringify([1, principal.tenant, principal.key, endpoint.resource])}`;
}
