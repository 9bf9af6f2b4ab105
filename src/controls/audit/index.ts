export { type Audit, type AuditOptions, type AuditStats, openAudit, type PlacedReceipt } from './audit.ts';
export type { Vault } from './keys/vault.ts';
export { LogReader, type OpenRecord } from './reader/read.ts';
export { EVENT_KINDS, type EventKind, type RecordEvent } from './record/events.ts';
export { AUDIT_REFUSALS } from './refusals.ts';
export { type AuditSettings, auditSettings } from './settings.ts';
export type { VerifyFinding, VerifyReport } from './verifier/verify.ts';
export { readVerifiers, verifyLog } from './verifier/verify-log.ts';
