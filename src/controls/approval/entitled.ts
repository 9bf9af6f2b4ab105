import type { Actor, Principal } from '../../core/call.ts';
import type { ApprovalRule } from './settings.ts';

/** Who asked, as a whole person: himself, everyone in the delegation chain, and the owners of the agent. */
export interface Asker extends Actor {
  readonly client: string;
  readonly actors: readonly Actor[];
}

/** One decision of one person. */
export interface Vote extends Actor {
  readonly decision: 'approve' | 'deny';
  /** The decider's principal key: his record is sealed under it. */
  readonly key: string;
  readonly groups: readonly string[];
  readonly reason: string | null;
  readonly at: number;
}

export type Owners = Readonly<Record<string, readonly Actor[]>>;

/**
 * May this principal decide on that call? Null: yes. An empty list of groups means nobody. A decision is made by a
 * person in person: a token with a delegation chain, or no proven credential, decides nothing (an agent that holds a
 * delegated token of an approver is not the approver).
 */
export function mayDecide(
  decider: Pick<Principal, 'issuer' | 'subject' | 'actors' | 'groups' | 'proof'>,
  asked: { readonly asker: Asker; readonly rule: ApprovalRule; readonly owners: Owners },
): 'approval.self' | 'approval.not_entitled' | null {
  const requester = personsBehind(asked.asker, asked.owners);
  const own = [decider, ...decider.actors].some((one) => requester.some((other) => samePerson(one, other)));
  if (own) return 'approval.self';
  if (decider.actors.length > 0 || decider.proof === 'none') return 'approval.not_entitled';
  return inGroups(decider.groups, asked.rule) ? null : 'approval.not_entitled';
}

/**
 * Do these votes carry the call under the rule as it stands now? Counted are different people, still in a group that
 * may decide, none of them behind the request. One denial kills.
 */
export function carried(
  votes: readonly Vote[],
  asked: { readonly asker: Asker; readonly rule: ApprovalRule; readonly owners: Owners },
): boolean {
  if (votes.some((vote) => vote.decision === 'deny')) return false;
  const requester = personsBehind(asked.asker, asked.owners);
  const people: Vote[] = [];
  for (const vote of votes) {
    if (!inGroups(vote.groups, asked.rule)) continue;
    if (requester.some((other) => samePerson(vote, other))) continue;
    if (people.some((other) => samePerson(vote, other))) continue;
    people.push(vote);
  }
  return people.length >= Math.max(1, asked.rule.quorum);
}

/** An agent is known by its client id, whether it asks as the client, acts for somebody, or has a token of its own. */
export function personsBehind(asker: Asker, owners: Owners): readonly Actor[] {
  const asking = [asker, ...asker.actors];
  const ids = [asker.client, ...asking.map(({ subject }) => subject)];
  const owned = ids.flatMap((id) => (Object.hasOwn(owners, id) ? owners[id]! : []));
  return [...asking, ...owned];
}

export function samePerson(one: Actor, other: Actor): boolean {
  return one.issuer === other.issuer && one.subject === other.subject;
}

function inGroups(groups: readonly string[], rule: ApprovalRule): boolean {
  return groups.some((group) => rule.approvers.groups.includes(group));
}
