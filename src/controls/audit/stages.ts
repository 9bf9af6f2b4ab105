import type { Call, CallWith, Intent, Now, Principal, Receipt } from '../../core/call.ts';
import { type FinalStage, Refusal, type Stage } from '../../core/stage.ts';
import type { Intake } from './intake.ts';
import type { Keyring, SubjectKey } from './keys/keyring.ts';
import type { Receipts } from './proof/receipts.ts';
import { type Entry, type Ledger, type Placed, SYSTEM_TENANT, type TenantLog } from './record/ledger.ts';
import { intentPayload, outcomePayload, strangerMeta } from './record/meta.ts';
import type { MetaForms } from './record/meta-forms.ts';
import { type Payload, PayloadBytes } from './record/payload.ts';
import { PlainText } from './record/plaintext.ts';
import type { StrangerBound } from './record/strangers.ts';
import type { AuditSettings } from './settings.ts';

/** A record of a call as later stages find it: `leaf` is what the outcome's `refs` name. */
export interface PlacedIntent extends Intent {
  readonly leaf: number;
}

/** Refusals that share a record with others have no place of their own. */
export const COUNTED: Receipt = { index: -1, id: '' };

export interface StageParts {
  readonly settings: AuditSettings;
  readonly ledger: Ledger;
  readonly keyring: Keyring;
  readonly strangers: StrangerBound;
  readonly forms: MetaForms;
  /** Null: answers bear none. */
  readonly receipts: Receipts | null;
  readonly weak: () => readonly string[];
  readonly intake: Intake;
  /** Leaf of the record that decided an approval, when this process wrote it. */
  readonly leafOfApproval: (tenant: TenantLog, approval: string) => number | undefined;
}

type Needs = 'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval';

/** No durable intent, no call. */
export function intentStage(parts: StageParts): Stage<Needs, 'intent'> {
  const { ledger, keyring, forms, weak, intake, leafOfApproval } = parts;
  const write = (call: CallWith<Needs>, now: Now, log: TenantLog, key: SubjectKey) => {
    const decided = call.approval.id === null ? undefined : leafOfApproval(log, call.approval.id);
    const entry: Entry = {
      kind: 'intent',
      time: now.utc,
      refs: decided === undefined ? [] : [decided],
      meta: forms.intent(call, key, weak()),
      payload: { key, bytes: new PayloadBytes(intentPayload(call)) },
    };
    return durable(ledger, log, entry, 'audit.unavailable', null) as Promise<PlacedIntent | Refusal>;
  };
  return {
    name: 'audit.intent',
    leaves: 'intent',
    run(call, now) {
      const closed = intake.closedBecause(now);
      if (closed) return new Refusal('audit.unavailable', { evidence: closed });
      return withKeys(ledger, keyring, call.principal, now, 'audit.unavailable', (log, key) =>
        write(call, now, log, key),
      );
    },
  };
}

/** Always runs: every call ends in a record, refusals too. */
export function outcomeStage(parts: StageParts): FinalStage<'receipt'> {
  const { settings, ledger, keyring, forms, receipts, weak, intake } = parts;
  const write = (call: Call, now: Now, log: TenantLog, key: SubjectKey, code: AuditCode) => {
    const intent = call.intent as PlacedIntent | undefined;
    const payload: Payload = outcomePayload(call, settings.replyBytes);
    const entry: Entry = {
      kind: 'outcome',
      time: now.utc,
      refs: intent ? [intent.leaf] : [],
      meta: forms.outcome(call, now, key, weak()),
      payload: payload.length > 0 ? { key, bytes: new PayloadBytes(payload) } : null,
    };
    // Only a request has an answer that could bear one.
    return durable(ledger, log, entry, code, call.message?.kind === 'request' ? receipts : null);
  };
  return {
    name: 'audit.outcome',
    leaves: 'receipt',
    run(call, now) {
      const { principal } = call;
      if (!principal) return recordStranger(parts, call, now);
      const code: AuditCode = call.intent ? 'audit.outcome_unknown' : 'audit.unavailable';
      // A full log still takes the end of what was let begin.
      const closed = call.intent ? null : intake.closedBecause(now);
      if (closed) {
        parts.strangers.count(call.refusal?.code ?? code, now.mono);
        return new Refusal(code, { evidence: closed });
      }
      return withKeys(ledger, keyring, principal, now, code, (log, key) => write(call, now, log, key, code));
    },
  };
}

type AuditCode = 'audit.unavailable' | 'audit.outcome_unknown';

/** Gets segment key and subject key, without a promise when both are at hand. */
function withKeys<T>(
  ledger: Ledger,
  keyring: Keyring,
  principal: Principal,
  now: Now,
  code: AuditCode,
  then: (log: TenantLog, key: SubjectKey) => Promise<T | Refusal>,
): Promise<T | Refusal> {
  const log = ledger.of(principal.tenant);
  const segment = ledger.ready(log, now.utc);
  const subject = keyring.cachedSubject(log.name, principal.key, now.utc);
  if (subject && !(segment instanceof Promise)) return then(log, subject);
  return Promise.all([segment, subject ?? keyring.subject(log.name, principal.key, now.utc, true)]).then(
    ([, key]) => then(log, key!),
    (cause) => new Refusal(code, { evidence: 'the keys of the record cannot be had', cause }),
  );
}

/** Resolves when the record is on disk, or with the refusal when it will never be. */
function durable(
  ledger: Ledger,
  log: TenantLog,
  entry: Entry,
  code: AuditCode,
  receipts: Receipts | null,
): Promise<(Placed & Receipt) | Refusal> {
  return new Promise((resolve) => {
    try {
      const placed = ledger.write(log, entry, (error) => {
        if (error) resolve(new Refusal(code, { evidence: error.message, cause: error }));
        else resolve(receipts ? withText(placed, receipts) : placed);
      });
    } catch (cause) {
      resolve(new Refusal(code, { evidence: 'the record could not be written', cause }));
    }
  });
}

function withText({ index, leaf, id }: Placed, receipts: Receipts): Placed & Receipt {
  return { index, leaf, id, text: receipts.text(index, id) };
}

/** Never waits for the disk: whoever has no credential must not make us wait for it. */
function recordStranger(parts: StageParts, call: Call, now: Now): Receipt {
  const { ledger, strangers, intake } = parts;
  const code = call.refusal?.code ?? 'errors.internal';
  const log = ledger.of(SYSTEM_TENANT);
  if (!intake.roomForStrangers() || intake.closedBecause(now) || !log.segmentKey || !strangers.admit(now.mono)) {
    strangers.count(code, now.mono);
    return COUNTED;
  }
  // Starts the renewal of the key when a new segment has begun; the record does not wait for it.
  void ledger.ready(log, now.utc);
  try {
    return ledger.write(
      log,
      { kind: 'refusal', time: now.utc, refs: [], meta: new PlainText(strangerMeta(call, now)), payload: null },
      null,
    );
  } catch {
    // The journal failed between the check and here: the refusal stands, and onFatal has been told.
    return COUNTED;
  }
}
