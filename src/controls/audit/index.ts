export { type Audit, type AuditOptions, type AuditStats, openAudit, type PlacedReceipt } from './audit.ts';
export { cefOf } from './export/cef.ts';
export { Intents } from './export/intents.ts';
export { type ExportFacts, ocsfEvents, ocsfOf } from './export/ocsf.ts';
export { otlpOf } from './export/otlp.ts';
export { RECORD_KINDS, type RecordKind } from './format/envelope.ts';
export { type ExchangeOptions, prepareKek, retireKek, rotateKek, stillNeeded } from './keys/exchange.ts';
export { keptKek } from './keys/kek.ts';
export type { Vault } from './keys/vault.ts';
export {
  type AnswerMatch,
  matchAnswer,
  type RecordedReply,
  readSavedAnswer,
  replyOf,
  type SavedAnswer,
} from './proof/answer.ts';
export { recordsMeant } from './proof/find.ts';
export { DISCLOSURES, type Disclosure, proofOf } from './proof/prove.ts';
export { MAX_PROOF_BYTES, type ProofReport, verifyProofs } from './proof/verify-proof.ts';
export { readWitnesses, readWitnessesIfAny, WITNESS_KEYS_FILE } from './proof/witness-keys.ts';
export { plainRecord } from './reader/plain-record.ts';
export { LogReader, type OpenRecord } from './reader/read.ts';
export { EVENT_KINDS, type EventKind, type RecordEvent } from './record/events.ts';
export { decodePayload } from './record/payload.ts';
export { AUDIT_REFUSALS } from './refusals.ts';
export {
  type CheckedDay,
  type IndexFinding,
  LogIndex,
  noLog,
  type Progress,
  type SearchQuery,
} from './search/log-index.ts';
export { type AuditSettings, auditSettings } from './settings.ts';
export { type BucketLog, openS3Log } from './sinks/s3-source.ts';
export { cutTornLine } from './sinks/torn-line.ts';
export {
  type KeptCheckpoint,
  readKept,
  readVerifiers,
  urlSource,
  VerifierError,
  type VerifyFinding,
  type VerifyReport,
  verifyLog,
} from './verifier/index.ts';
export { newWitnessKey, openWitness } from './witness/open-witness.ts';
export { allWitnesses, witnessWords } from './witness/settings.ts';
export { parseWitnessedLog } from './witness/witnessed-logs.ts';
