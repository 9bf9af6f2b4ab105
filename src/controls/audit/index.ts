export {
  type Audit,
  type AuditOptions,
  type AuditStats,
  EVENT_KINDS,
  type EventKind,
  openAudit,
  type PlacedReceipt,
  type RecordEvent,
} from './audit.ts';
export { AUDIT_REFUSALS } from './refusals.ts';
export { type AuditSettings, auditSettings } from './settings.ts';
export type { Vault } from './vault.ts';
