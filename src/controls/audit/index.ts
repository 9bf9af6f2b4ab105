export { type Audit, type AuditOptions, type AuditStats, openAudit, type PlacedReceipt } from './audit.ts';
export { EVENT_KINDS, type EventKind, type RecordEvent } from './events.ts';
export { LogReader, type OpenRecord } from './read.ts';
export { AUDIT_REFUSALS } from './refusals.ts';
export { type AuditSettings, auditSettings } from './settings.ts';
export type { Vault } from './vault.ts';
export type { VerifyFinding, VerifyReport } from './verify.ts';
export { readVerifiers, verifyLog } from './verify-log.ts';
