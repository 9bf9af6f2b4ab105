export { type ApprovalControl, type ApprovalPorts, openApproval } from './approval.ts';
export { APPROVAL_OPERATIONS, type ApprovalOperations } from './operations.ts';
export { APPROVAL_EVENTS, type ApprovalEvent, type Records, type Vault } from './ports.ts';
export { APPROVAL_REFUSALS, type ApprovalRefusal } from './refusals.ts';
export { REPLAYED } from './replayed.ts';
export { type ApprovalSettings, approvalSettings } from './settings.ts';
export type { ApprovalStages } from './stages.ts';
export type { Card, ShownValue } from './view.ts';
