import { createHmac } from 'node:crypto';
import type { CallWith } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import type { SymmetricKey } from '../../core/crypto/keys.ts';
import type { ApprovalRule } from './settings.ts';

export type AskedCall = CallWith<'principal' | 'message' | 'target' | 'arguments' | 'decision'>;
type PlacedCall = CallWith<'principal' | 'target' | 'arguments'>;

/** Members of `_meta` that change with every repeat and are our own business or transport's (protocol.md 1.3, 1.14). */
const VOLATILE_META = ['progressToken', 'traceparent', 'tracestate', 'baggage'];
const RESERVED_META = 'io.modelcontextprotocol/';

/**
 * Where the request for this call stands in the store: the look-up key of a repeat. Everything that tells something
 * is an HMAC. Who is delegated to ask is part of it: another chain is another request.
 */
export function placeOf(key: SymmetricKey, call: PlacedCall, volatileMeta: readonly string[]): string {
  const { principal, target } = call;
  const lookup = macOf(key, 'lookup', [
    principal.tenant,
    principal.key,
    principal.client,
    actorsOf(call),
    target.kind,
    target.key,
    resourceOf(call),
    target.digest,
    target.manifest,
    call.arguments.digest,
    boundMeta(call, volatileMeta),
  ]);
  return `${requesterPrefix(key, principal.tenant, principal.key)}${lookup}`;
}

/** All places of one requester begin with this. */
export function requesterPrefix(key: SymmetricKey, tenant: string, subject: string): string {
  return `${tenantPrefix(tenant)}${macOf(key, 'requester', [tenant, subject])}/`;
}

/** All places of one tenant begin with this, and no place of another does: a tenant's name holds no slash here. */
export function tenantPrefix(tenant: string): string {
  return `${encodeURIComponent(tenant)}/`;
}

/** Where the sealed rows of a request stand: the id leaves the process, so it is not a key in clear. */
export function idPlace(key: SymmetricKey, tenant: string, id: string): string {
  return `${tenantPrefix(tenant)}${macOf(key, 'id', [tenant, id])}`;
}

export interface Terms {
  readonly nonce: string;
  readonly rule: string;
  readonly quorum: ApprovalRule;
  readonly notBefore: number;
  readonly expires: number;
  readonly viewDigest: string;
}

/**
 * The subject of an approval: SHA-256 over all it is bound to (approvals.md 4.1). Made when the call is asked for and
 * again, from the call as it is then, before it runs: one different member and it is another call.
 */
export function subjectDigest(call: AskedCall, terms: Terms, volatileMeta: readonly string[]): string {
  const { principal, target, decision } = call;
  return sha256Base64Url(
    canonicalJson({
      v: 1,
      tenant: principal.tenant,
      nonce: terms.nonce,
      principal: { iss: principal.issuer, sub: principal.subject, act: actorsOf(call), client: principal.client },
      server: { id: target.server, manifest: target.manifest },
      target: { kind: target.kind, key: target.key, digest: target.digest, effect: target.effect },
      method: call.message.method,
      resource: resourceOf(call),
      arguments: call.arguments.digest,
      meta: boundMeta(call, volatileMeta),
      policy: { version: decision.policy, rules: [...decision.rules].sort() },
      rule: terms.rule,
      quorum: { count: terms.quorum.quorum, groups: [...terms.quorum.approvers.groups].sort() },
      view_digest: terms.viewDigest,
      not_before: terms.notBefore,
      expires: terms.expires,
      max_uses: 1,
    }),
  );
}

/** A pinned template or resource is asked for by address; for every other kind the target says it all. */
export function resourceOf(call: PlacedCall): string {
  const kind = call.target.kind;
  return kind === 'template' || kind === 'resource' ? (call.message?.name ?? '') : '';
}

/** Members of `_meta` that reach the tool and may mean something to it. */
export function boundMeta(call: PlacedCall, volatileMeta: readonly string[]): Readonly<Record<string, unknown>> {
  const meta = call.message?.params['_meta'];
  if (typeof meta !== 'object' || meta === null) return {};
  return Object.fromEntries(
    Object.entries(meta).filter(
      ([name]) => !name.startsWith(RESERVED_META) && !VOLATILE_META.includes(name) && !volatileMeta.includes(name),
    ),
  );
}

function actorsOf(call: PlacedCall): object[] {
  return call.principal.actors.map(({ issuer, subject }) => ({ iss: issuer, sub: subject }));
}

function macOf(key: SymmetricKey, label: string, parts: readonly unknown[]): string {
  return createHmac('sha256', key.secret)
    .update(`gatewrit approval ${label}\n${canonicalJson(parts)}`)
    .digest('base64url');
}
