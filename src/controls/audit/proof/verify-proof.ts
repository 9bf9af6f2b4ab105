import { openCosigned, type WitnessVerifier } from '../../../core/crypto/cosignature.ts';
import { leafHash, verifyInclusion } from '../../../core/crypto/merkle.ts';
import { type NoteVerifier, parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import { parseTlogProof, splitTlogProofs } from '../../../core/crypto/tlog-proof.ts';
import { commitment, type Envelope, envelopeText, type PartName, parseEnvelope, R_BYTES } from '../format/envelope.ts';
import { parseEvidence } from './evidence.ts';

/** What a proof shows. A member is null where the proof did not get that far. */
export interface ProofReport {
  /** Nothing found: everything below is proven by the keys that were given. */
  readonly ok: boolean;
  readonly findings: readonly string[];
  /** `<deployment>/<tag of the tenant>/<replica>`: which tree. */
  readonly origin: string | null;
  /** Position in that tree, which `refs` of other records name. */
  readonly leaf: number | null;
  /** Leaves of the tree that was signed. */
  readonly size: number | null;
  /** Name and hash of the key that signed it. */
  readonly signedBy: string | null;
  /** Witnesses among those given that have seen the tree, and when, s since 1970. */
  readonly cosignedBy: readonly { readonly name: string; readonly time: number }[];
  /** Signature lines by keys that were not given. */
  readonly unknown: number;
  readonly envelope: Envelope | null;
  /** Plaintext of the parts that are disclosed and are what the envelope committed to. */
  readonly disclosed: ReadonlyMap<PartName, Buffer>;
}

export interface ProofKeys {
  /** Checkpoint keys of the log, from somewhere else than the proof. */
  readonly verifiers: readonly NoteVerifier[];
  /** None: cosignatures prove nothing. */
  readonly witnesses?: readonly WitnessVerifier[];
}

/** Above what one record can be, twice over: base64 and the JSON around it. */
export const MAX_PROOF_BYTES = 192 * 1024 * 1024;
const TREE = /^([^/\n]+)\/[0-9a-f]{32}\/[^/\n]+$/;

/** Verifies each of the proofs in a file with nothing but public keys. All of the text is attacker-controlled. */
export function verifyProofs(text: string, keys: ProofKeys): ProofReport[] {
  return splitTlogProofs(text).map((one) => verifyProof(one, keys));
}

function verifyProof(text: string, { verifiers, witnesses = [] }: ProofKeys): ProofReport {
  const findings: string[] = [];
  const report = {
    findings,
    origin: null,
    leaf: null,
    size: null,
    signedBy: null,
    cosignedBy: [],
    unknown: 0,
    envelope: null,
    disclosed: new Map<PartName, Buffer>(),
  };
  const proof = parseTlogProof(text);
  if (!proof) return { ...report, ok: false, findings: ['it is not a tlog-proof (c2sp.org/tlog-proof@v1)'] };
  const note = openCosigned(proof.checkpoint, verifiers, witnesses);
  if (!note)
    return { ...report, ok: false, findings: ['its checkpoint is not signed by the given keys, or was changed'] };
  const signed = {
    ...report,
    leaf: proof.index,
    signedBy: `${note.signedBy.name}+${note.signedBy.keyHash}`,
    cosignedBy: note.cosignedBy,
    unknown: note.unknown,
  };
  const checkpoint = parseCheckpoint(note.text);
  if (!checkpoint) return { ...signed, ok: false, findings: ['its checkpoint has not the three lines of one'] };
  const { origin, size, root } = checkpoint;
  // The same key signs the journal and roll-ups: their leaves are no records.
  if (TREE.exec(origin)?.[1] !== note.signedBy.name)
    findings.push(`the signed tree ${origin} is not one of records of ${note.signedBy.name}`);
  const evidence = proof.extra && parseEvidence(proof.extra);
  if (!evidence) {
    findings.push('the record itself is not in it');
    return { ...signed, ok: false, origin, size };
  }
  const { entry, openings } = evidence;
  if (!verifyInclusion({ index: proof.index, size, leaf: leafHash(entry), proof: proof.path, root }))
    findings.push(`the record is not leaf ${proof.index} of the signed tree`);
  const envelope = parseEnvelope(entry);
  if (!envelope || envelopeText(envelope) !== entry.toString('latin1'))
    findings.push('the record is not an envelope in its canonical form');
  const disclosed = new Map<PartName, Buffer>();
  for (const [name, opening] of openings) {
    const part = envelope?.parts.find((one) => one.name === name);
    if (part && opening.length >= R_BYTES && commitment(opening) === part.commit)
      disclosed.set(name, opening.subarray(R_BYTES));
    else findings.push(`what is disclosed as ${name} is not what was recorded`);
  }
  return { ...signed, ok: findings.length === 0, origin, size, envelope, disclosed };
}
