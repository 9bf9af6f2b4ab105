/**
 * The verifier of a Gatewrit audit log, for auditors: nothing but Node.js and public keys. It reads a log from a folder, a
 * web server or any `LogSource`, recomputes every digest, tile, bundle and root, and says what does not hold, which
 * record is the first concerned, and what it cannot speak for. Needs no key of the log's owner but the printed public one.
 * @module
 */
export { type ProofReport, verifyProofs } from '../proof/verify-proof.ts';
export { readWitnesses } from '../proof/witness-keys.ts';
export { openCheckpoint, type SignedCheckpoint } from './checkpoint-files.ts';
export type { VerifyFinding } from './findings.ts';
export { folderSource, type LogSource } from './source.ts';
export { type UrlOptions, urlSource } from './source-url.ts';
export { VERIFIER_ERRORS, VerifierError, type VerifierErrorCode } from './verifier-error.ts';
export type { VerifyReport } from './verify.ts';
export { readKept, readVerifiers, type VerifyOptions, verifyLog } from './verify-log.ts';
export type { KeptCheckpoint, VerifiedTree } from './verify-tree.ts';
