import type { AdminOperation } from '../../core/admin-operation.ts';
import type { Now, Principal } from '../../core/call.ts';
import { InternalError } from '../../core/internal-error.ts';
import { Refusal } from '../../core/stage.ts';
import { decide, openFor } from './deciding.ts';
import { mayDecide, samePerson } from './entitled.ts';
import { phraseOf, prefixOf } from './phrase.ts';
import { unavailable } from './refusals.ts';
import type { ApprovalRows, Held } from './rows.ts';
import { type ApprovalSettings, ruleOf } from './settings.ts';
import type { Turns } from './turns.ts';

export const APPROVAL_OPERATIONS = [
  'admin.approvals.list',
  'admin.approvals.show',
  'admin.approvals.approve',
  'admin.approvals.deny',
] as const;
export type ApprovalOperations = Readonly<Record<(typeof APPROVAL_OPERATIONS)[number], AdminOperation>>;

const READ = ['gatewrit:approvals:read'];
const DECIDE = ['gatewrit:approvals:decide'];
const MAX_LISTED = 100;
const MAX_REASON = 500;

const id = { type: 'string', pattern: '^[0-9a-f]{32}$', description: 'Id of the approval.' };
const reason = {
  type: 'string',
  maxLength: MAX_REASON,
  description: 'Why; kept in the record, never sent to the caller.',
};

export function approvalOperations(rows: ApprovalRows, settings: ApprovalSettings, turns: Turns): ApprovalOperations {
  const decision = (verb: 'approve' | 'deny', title: string, description: string): AdminOperation => ({
    definition: {
      name: `admin.approvals.${verb}`,
      title,
      description,
      inputSchema: { type: 'object', properties: { id, reason }, required: ['id'], additionalProperties: false },
    },
    effect: 'write',
    scopes: DECIDE,
    run: (asked) =>
      shut(async () =>
        decide(rows, settings, turns, {
          principal: asked.principal,
          id: idOf(asked.arguments),
          decision: verb,
          reason: reasonOf(asked.arguments),
          now: asked.now,
        }),
      ),
  });
  return {
    'admin.approvals.list': {
      definition: {
        name: 'admin.approvals.list',
        title: 'List approvals',
        description: 'Calls that wait for a decision of yours, and your own that wait; without their arguments.',
        inputSchema: { type: 'object', properties: {}, additionalProperties: false },
      },
      effect: 'read',
      scopes: READ,
      run: ({ principal, now }) => shut(() => list(rows, settings, principal, now)),
    },
    'admin.approvals.show': {
      definition: {
        name: 'admin.approvals.show',
        title: 'Show an approval',
        description: 'One call that waits for a decision: who asks, for what, with which arguments.',
        inputSchema: { type: 'object', properties: { id }, required: ['id'], additionalProperties: false },
      },
      effect: 'read',
      scopes: READ,
      run: (asked) => shut(() => show(rows, settings, asked.principal, idOf(asked.arguments), asked.now)),
    },
    'admin.approvals.approve': decision(
      'approve',
      'Approve a call',
      'Approves exactly this call, once. It runs when its caller repeats it within two minutes.',
    ),
    'admin.approvals.deny': decision('deny', 'Deny a call', 'Denies this call. One denial is enough.'),
  };
}

async function list(rows: ApprovalRows, settings: ApprovalSettings, principal: Principal, now: Now): Promise<object> {
  const seen = [];
  // What nobody here made is not shown; the sweep tells the operator of it.
  for await (const held of rows.each(principal.tenant, now.utc, () => undefined)) {
    const { header } = held;
    if (header.state !== 'pending' || header.was === 'new' || now.utc >= header.decideBy) continue;
    const asker = await rows.asker(header);
    const rule = ruleOf(settings, header.rule);
    if (!asker || !rule) continue;
    const own = samePerson(asker, principal);
    const yours = mayDecide(principal, { asker, rule, owners: settings.owners }) === null;
    if (!own && !yours) continue;
    seen.push({ ...summary(held), subject: asker.subject, client: asker.client, yours });
  }
  seen.sort((a, b) => a.decideBy - b.decideBy);
  return { approvals: seen.slice(0, MAX_LISTED), more: Math.max(0, seen.length - MAX_LISTED) };
}

async function show(
  rows: ApprovalRows,
  settings: ApprovalSettings,
  principal: Principal,
  wanted: string,
  now: Now,
): Promise<Refusal | object> {
  const held = await rows.findById(principal.tenant, wanted, now.utc);
  if (!held) return new Refusal('approval.not_found');
  const opened = await openFor(rows, settings, held, principal, now);
  // The requester knows his own arguments: he is told where his request stands and no more.
  if (opened instanceof Refusal) return opened.code === 'approval.self' ? { ...summary(held), card: null } : opened;
  const votes = await rows.votes(held.header);
  return { ...summary(held), card: opened.card, votes: votes.filter((vote) => vote.decision === 'approve').length };
}

/** What may stand in a list: nothing of it comes from the call's arguments. Times are ms UTC. */
function summary({ header }: Held) {
  return {
    id: header.id,
    state: header.was !== null && header.was !== 'new' ? header.was : header.state,
    target: header.target,
    effect: header.effect,
    rule: header.rule,
    quorum: header.quorum,
    askedAt: header.askedAt,
    decideBy: header.decideBy,
    runBy: header.runBy,
    digest: prefixOf(header.digest),
    phrase: phraseOf(header.digest),
  };
}

async function shut(act: () => Promise<Refusal | object>): Promise<Refusal | object> {
  try {
    return await act();
  } catch (cause) {
    return unavailable(cause instanceof InternalError ? cause.code : 'approvals threw', cause);
  }
}

/** Validation has judged the arguments by the schema; a handler that is called past it still gets no other type. */
function idOf(given: Readonly<Record<string, unknown>>): string {
  const value = given['id'];
  return typeof value === 'string' ? value : '';
}

function reasonOf(given: Readonly<Record<string, unknown>>): string | null {
  const value = given['reason'];
  // In characters, as the schema counts: half of one is no text, and the record of the decision would be refused.
  return typeof value === 'string' && value !== '' ? [...value].slice(0, MAX_REASON).join('').toWellFormed() : null;
}
