import type { Now } from '../../core/call.ts';
import { handle, randomSlice } from '../../core/ids.ts';
import { Refusal } from '../../core/stage.ts';
import { type AskedCall, boundMeta, placeOf, resourceOf, subjectDigest, type Terms } from './binding.ts';
import type { Asker } from './entitled.ts';
import type { Header } from './header.ts';
import type { ApprovalRows, Held } from './rows.ts';
import { type ApprovalRule, type ApprovalSettings, TOTAL_WINDOW_MS } from './settings.ts';
import { type Card, cardDigest, cardOf } from './view.ts';

/** The rule that policy names for a call, as settings have it. */
export interface NamedRule extends ApprovalRule {
  readonly name: string;
}

export function askerOf(call: AskedCall): Asker {
  const { issuer, subject, client, actors } = call.principal;
  return { issuer, subject, client, actors };
}

export function required(header: Pick<Header, 'id' | 'decideBy'>): Refusal {
  return new Refusal('approval.required', { approval: { id: header.id, expiresAt: header.decideBy } });
}

/** What a header says it was asked under; with the call as it is now this gives the subject digest again. */
export function termsOf(header: Header, rule: NamedRule): Terms {
  const { nonce, askedAt, endsAt, viewDigest } = header;
  return { nonce, rule: rule.name, quorum: rule, notBefore: askedAt, expires: endsAt, viewDigest };
}

/**
 * Asks people for this call: one request with its own id and nonce, put over what stood there before.
 * Null: somebody else asked first.
 */
export async function ask(
  rows: ApprovalRows,
  settings: ApprovalSettings,
  asked: { call: AskedCall; rule: NamedRule; over: Held | null; now: Now },
): Promise<Refusal | null> {
  const { call, rule, over } = asked;
  const now = asked.now.utc;
  const { tenant, key: subject } = call.principal;
  if ((await rows.countPending(tenant, subject, now)) >= settings.maxPending) {
    return new Refusal('approval.unavailable', {
      text: 'Too many of your calls wait for approval; wait until some are decided.',
      evidence: `${settings.maxPending} requests of this principal are pending`,
    });
  }
  const decideBy = now + settings.decisionMinutes * 60_000;
  const card = describe(call, rule, { askedAt: now, decideBy, before: over?.header.state ?? null }, settings);
  const terms: Terms = {
    nonce: handle(),
    rule: rule.name,
    quorum: rule,
    notBefore: now,
    expires: now + TOTAL_WINDOW_MS,
    viewDigest: cardDigest(card),
  };
  const held = await rows.create(
    placeOf(rows.currentKey, call, settings.volatileMeta),
    over,
    {
      v: 1,
      // 128 random bits in hexadecimal: people type it after a command, where a leading hyphen would be an option.
      id: randomSlice(16).toString('hex'),
      tenant,
      subject,
      state: 'pending',
      told: false,
      rule: rule.name,
      quorum: rule.quorum,
      target: call.target.key,
      effect: call.target.effect,
      policy: call.decision.policy,
      nonce: terms.nonce,
      viewDigest: terms.viewDigest,
      digest: subjectDigest(call, terms, settings.volatileMeta),
      askedAt: now,
      decideBy,
      endsAt: terms.expires,
      runBy: null,
      consumedAt: null,
      settledAt: null,
      outcome: false,
      votes: '',
    },
    {
      asker: askerOf(call),
      request: { card, arguments: call.arguments.bytes() },
      now,
      meta: { call: call.id, ...(over ? { supersedes: over.header.id, supersededState: over.header.state } : {}) },
    },
  );
  return held && required(held.header);
}

function describe(
  call: AskedCall,
  rule: NamedRule,
  times: { askedAt: number; decideBy: number; before: string | null },
  settings: ApprovalSettings,
): Card {
  const { target } = call;
  return cardOf({
    server: target.server,
    name: target.name,
    kind: target.kind,
    effect: target.effect,
    resource: resourceOf(call),
    definition: target.digest,
    manifest: target.manifest,
    asker: askerOf(call),
    arguments: call.arguments.view,
    meta: boundMeta(call, settings.volatileMeta),
    rule: rule.name,
    quorum: rule.quorum,
    ...times,
  });
}
