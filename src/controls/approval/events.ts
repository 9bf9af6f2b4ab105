import type { Vote } from './entitled.ts';
import type { Header } from './header.ts';
import type { ApprovalEvent } from './ports.ts';

/**
 * The audit record of the edge a header stands behind. Made from the header alone, so that whoever finishes an edge
 * another process left writes the same record. A denial or approval is sealed under the key of who decided.
 */
export function eventOf(
  header: Header,
  votes: readonly Vote[],
  more: Readonly<Record<string, unknown>> = {},
): ApprovalEvent {
  const decided = header.state === 'denied' || header.state === 'approved' || header.state === 'pending';
  const last = decided ? (votes.at(-1) ?? null) : null;
  return {
    kind: kindOf(header, last),
    tenant: header.tenant,
    subject: last?.key ?? header.subject,
    meta: {
      id: header.id,
      target: header.target,
      effect: header.effect,
      rule: header.rule,
      policy: header.policy,
      digest: header.digest,
      viewDigest: header.viewDigest,
      state: header.state,
      decideBy: header.decideBy,
      ...(header.runBy === null ? {} : { runBy: header.runBy }),
      ...(last === null ? {} : decisionOf(header, last, votes)),
      ...more,
    },
  };
}

function kindOf(header: Header, last: Vote | null): ApprovalEvent['kind'] {
  switch (header.state) {
    case 'pending':
      return last ? 'approval.approved' : 'approval.requested';
    case 'approved':
    case 'denied':
    case 'expired':
    case 'consumed':
      return `approval.${header.state}`;
    case 'returned':
    case 'failed':
    case 'unknown':
      return 'approval.settled';
  }
}

/** `complete` is false for an approval that still waits for more people. */
function decisionOf(header: Header, vote: Vote, votes: readonly Vote[]): object {
  return {
    by: { issuer: vote.issuer, subject: vote.subject },
    votes: votes.length,
    quorum: header.quorum,
    complete: header.state !== 'pending',
    ...(vote.reason === null ? {} : { reason: vote.reason }),
  };
}
