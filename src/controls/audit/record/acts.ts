import type { Receipt } from '../../../core/call.ts';
import { canonicalJson } from '../../../core/crypto/jcs.ts';
import { type Keyring, tenantTag } from '../keys/keyring.ts';
import type { Erasure, ErasurePort, Whom } from '../operations.ts';
import type { RecordEvent } from './events.ts';
import type { Entry, Ledger, TenantLog } from './ledger.ts';
import { PayloadBytes } from './payload.ts';
import { PlainText } from './plaintext.ts';

/** `leaf` is the index in the tenant's tree, which `refs` name; `index` the position in the journal. */
export interface PlacedReceipt extends Receipt {
  readonly leaf: number;
}

const REMEMBERED_APPROVALS = 10_000;

interface RecordActsOptions {
  readonly ledger: Ledger;
  readonly keyring: Keyring;
  readonly deployment: string;
  readonly replica: string;
  /** ms UTC */
  readonly utc: () => number;
  /** Throws why nothing is recorded any more. */
  readonly refuse: () => void;
}

/** What is recorded beside calls: events, erasures, the end of a replica. Each resolves when its record is durable. */
export class RecordActs implements ErasurePort {
  readonly #options: RecordActsOptions;
  /** Leaves of approvals, by tenant and approval: the intents that use them refer to them. */
  readonly #approvals = new Map<string, number>();

  constructor(options: RecordActsOptions) {
    this.#options = options;
  }

  /** @throws InternalError when the record will never be durable */
  put(log: TenantLog, entry: Entry): Promise<PlacedReceipt> {
    return new Promise((resolve, reject) => {
      const placed = this.#options.ledger.write(log, entry, (error) => (error ? reject(error) : resolve(placed)));
    });
  }

  async record(event: RecordEvent): Promise<PlacedReceipt> {
    const { ledger, keyring, utc, refuse } = this.#options;
    refuse();
    const log = ledger.of(event.tenant);
    await ledger.ready(log, utc());
    let payload: Entry['payload'] = null;
    let subjectKey: string | undefined;
    if (event.payload) {
      if (event.subject === undefined) throw new TypeError('a payload needs the subject whose key seals it');
      const key = (await keyring.subject(log.name, event.subject, utc(), true))!;
      // A copy: the caller keeps its bytes, and we are not done with them before the group is sealed.
      payload = { key, bytes: new PayloadBytes([['event', Uint8Array.from(event.payload)]]) };
      subjectKey = key.name;
    }
    const meta = new PlainText(canonicalJson({ ...event.meta, subject_key: subjectKey, tenant: event.tenant }));
    const placed = await this.put(log, { kind: event.kind, time: utc(), refs: event.refs ?? [], meta, payload });
    if (event.approval !== undefined) {
      const approvals = this.#approvals;
      if (approvals.size >= REMEMBERED_APPROVALS) approvals.delete(approvals.keys().next().value!);
      approvals.set(`${log.name}/${event.approval}`, placed.leaf);
    }
    return placed;
  }

  leafOfApproval(log: TenantLog, approval: string): number | undefined {
    return this.#approvals.get(`${log.name}/${approval}`);
  }

  async erase({ tenant, subject, basis, by }: Whom & { basis: string; by: string }): Promise<PlacedReceipt & Erasure> {
    const { ledger, keyring, utc } = this.#options;
    const key = await keyring.eraseSubject(ledger.of(tenant).name, subject, utc());
    const meta = { basis, by, key, found: key !== null };
    return { ...(await this.record({ kind: 'erasure', tenant, meta })), key };
  }

  async keyOf({ tenant, subject }: Whom): Promise<string | null> {
    const { deployment, keyring, utc } = this.#options;
    const tag = tenantTag(deployment, tenant).toString('hex');
    return (await keyring.subject(tag, subject, utc(), false))?.name ?? null;
  }

  /** The last leaf of every tree. Resolves with the number of trees. */
  async retire(meta: Readonly<Record<string, string>>): Promise<number> {
    const { ledger, replica, utc } = this.#options;
    const logs = [...ledger.logs()];
    for (const log of logs) {
      await ledger.ready(log, utc());
      const sealed = new PlainText(canonicalJson({ ...meta, replica }));
      await this.put(log, { kind: 'retirement', time: utc(), refs: [], meta: sealed, payload: null });
    }
    return logs.length;
  }
}
