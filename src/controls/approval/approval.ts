import type { Now } from '../../core/call.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import type { Store } from '../../core/store/store.ts';
import { type ApprovalOperations, approvalOperations } from './operations.ts';
import type { Records, Vault } from './ports.ts';
import { ApprovalRows } from './rows.ts';
import type { ApprovalSettings } from './settings.ts';
import { type ApprovalStages, approvalStages } from './stages.ts';
import { standing } from './states.ts';
import { Turns } from './turns.ts';

export interface ApprovalPorts {
  readonly settings: ApprovalSettings;
  readonly store: Store;
  readonly vault: Vault;
  readonly records: Records;
  /** Keys of class `approval-mac`. */
  readonly mac: KeyPairOf<SymmetricKey>;
}

export interface ApprovalControl {
  readonly stages: ApprovalStages;
  readonly operations: ApprovalOperations;
  /**
   * Records the expiry of requests nobody came back for; call it about once a minute. Resolves with how many.
   * @throws, when all others have been looked at, if rows in the store were not made by this gateway
   */
  sweep(now: Now): Promise<number>;
  close(): Promise<void>;
}

/** Opens the control. It owns neither store nor keys: whoever passed them closes them. */
export function openApproval({ settings, store, vault, records, mac }: ApprovalPorts): ApprovalControl {
  const rows = new ApprovalRows({ store, vault, records, mac });
  const turns = new Turns();
  return {
    stages: approvalStages(rows, settings, turns),
    operations: approvalOperations(rows, settings, turns),
    sweep: (now) => sweep(rows, turns, now.utc),
    close: async () => undefined,
  };
}

async function sweep(rows: ApprovalRows, turns: Turns, now: number): Promise<number> {
  let count = 0;
  let strange: unknown = null;
  const unbelieved = (cause: unknown) => {
    strange ??= cause;
  };
  for await (const { place } of rows.each(null, now, unbelieved)) {
    const expired = await turns.run(place, async () => {
      const held = await rows.read(place, now);
      if (!held || standing(held.header, now, Number.POSITIVE_INFINITY) !== 'lapsing') return null;
      return rows.advance(held, { state: 'expired' }, now);
    });
    if (expired) count++;
  }
  if (strange !== null) throw strange;
  return count;
}
