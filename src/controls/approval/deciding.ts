import type { Now, Principal } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import { carried, mayDecide, samePerson, type Vote } from './entitled.ts';
import type { Header } from './header.ts';
import type { ApprovalRows, Held, SealedRequest } from './rows.ts';
import { type ApprovalRule, type ApprovalSettings, EXECUTION_WINDOW_MS, ruleOf } from './settings.ts';
import type { Turns } from './turns.ts';
import { cardDigest } from './view.ts';

export interface Decision {
  readonly principal: Principal;
  readonly id: string;
  readonly decision: 'approve' | 'deny';
  readonly reason: string | null;
  readonly now: Now;
}

/** What became of a decision. `votes` of `quorum` have approved. */
export interface Decided {
  readonly id: string;
  readonly state: 'pending' | 'approved' | 'denied';
  readonly votes: number;
  readonly quorum: number;
  /** Until when the caller may run it, ms UTC; null unless approved. */
  readonly runBy: number | null;
}

const TRIES = 4;

/** One person's yes or no. Entitlement is judged before anything is said of the request. */
export async function decide(
  rows: ApprovalRows,
  settings: ApprovalSettings,
  turns: Turns,
  decision: Decision,
): Promise<Decided | Refusal> {
  const found = await rows.findById(decision.principal.tenant, decision.id, decision.now.utc);
  if (!found) return new Refusal('approval.not_found');
  return turns.run(found.place, async () => {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const held = await rows.findById(decision.principal.tenant, decision.id, decision.now.utc);
      const done = held ? await decideOn(rows, settings, held, decision) : new Refusal('approval.not_found');
      if (done) return done;
    }
    return busy();
  });
}

/** Null: somebody else changed the row first. */
async function decideOn(
  rows: ApprovalRows,
  settings: ApprovalSettings,
  held: Held,
  { principal, decision, reason, now }: Decision,
): Promise<Decided | Refusal | null> {
  const { header } = held;
  const opened = await openFor(rows, settings, held, principal, now);
  if (opened instanceof Refusal) return opened;
  if (header.was !== null) return busy();
  if (header.state !== 'pending') return new Refusal('approval.not_pending', { evidence: `it is ${header.state}` });
  if (now.utc >= header.decideBy) {
    const lapsed = await rows.advance(held, { state: 'expired' }, now.utc);
    const text = 'This approval expired before it was decided; the caller must ask again.';
    return lapsed && new Refusal('approval.not_pending', { text });
  }
  const before = await rows.votes(header);
  const again = before.some((vote) => vote.decision === 'approve' && samePerson(vote, principal));
  if (again && decision === 'approve') return decidedOf(header, before.length);
  const votes = [...before, voteOf(principal, decision, reason, now)];
  const change: Partial<Header> = { votes: await rows.sealVotes(header, votes) };
  if (decision === 'deny') Object.assign(change, { state: 'denied' });
  else if (carried(votes, { asker: opened.asker, rule: opened.rule, owners: settings.owners })) {
    Object.assign(change, { state: 'approved', runBy: Math.min(now.utc + EXECUTION_WINDOW_MS, header.endsAt) });
  }
  const next = await rows.advance(held, change, now.utc);
  return next && decidedOf(next.header, votes.filter((vote) => vote.decision === 'approve').length);
}

export interface OpenedRequest extends SealedRequest {
  readonly asker: NonNullable<Awaited<ReturnType<ApprovalRows['asker']>>>;
  readonly rule: ApprovalRule;
}

/** Opens a request for somebody who may decide on it; for everybody else, says why not. */
export async function openFor(
  rows: ApprovalRows,
  settings: ApprovalSettings,
  held: Held,
  principal: Principal,
  now: Now,
): Promise<OpenedRequest | Refusal> {
  const { header } = held;
  if (header.was === 'new') return new Refusal('approval.not_found', { evidence: 'its request is not recorded yet' });
  const asker = await rows.asker(header);
  if (!asker) return new Refusal('approval.not_found', { evidence: 'the requester has been erased' });
  const rule = ruleOf(settings, header.rule);
  if (!rule)
    return new Refusal('approval.not_entitled', { evidence: `rule "${header.rule}" is no longer in settings` });
  const no = mayDecide(principal, { asker, rule, owners: settings.owners });
  if (no) return new Refusal(no);
  const request = await rows.request(held, now.utc);
  if (!request) return new Refusal('approval.not_found', { evidence: 'the request cannot be opened' });
  if (cardDigest(request.card) !== header.viewDigest) {
    return new Refusal('approval.unavailable', { evidence: 'what would be shown is not what was asked' });
  }
  return { asker, rule, ...request };
}

function voteOf(principal: Principal, decision: 'approve' | 'deny', reason: string | null, now: Now): Vote {
  const { issuer, subject, key, groups } = principal;
  return { issuer, subject, key, groups, decision, reason, at: now.utc };
}

function decidedOf(header: Header, votes: number): Decided {
  const { id, state, quorum, runBy } = header;
  return { id, state: state as Decided['state'], votes, quorum, runBy };
}

function busy(): Refusal {
  return new Refusal('approval.unavailable', {
    text: 'Somebody is deciding on this call at this moment; look again.',
    retryAfterMs: 1_000,
  });
}
