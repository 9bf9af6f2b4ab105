import type { Actor, Principal } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { principalKey } from '../../core/principal-key.ts';
import { type Claims, claimAt, isStrings, own } from './claims.ts';
import { type IssuerSettings, RESERVED_TENANT, TENANT } from './settings.ts';

const MAX_SCOPES = 1000;
const MAX_GROUPS = 1000;
const MAX_ACTORS = 8;
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * Who a verified token speaks for. Everything comes from the token and the issuer's settings, nothing from the request.
 * @returns a frozen principal, or why its claims make none
 */
export function readPrincipal(claims: Claims, issuer: IssuerSettings): Principal | string {
  const subject = claimAt(claims.all, issuer.claims.subject);
  if (!isName(subject)) return 'subject';
  const tenant = readTenant(claims, issuer);
  if (tenant === null) return 'tenant';
  const client = firstOf(claims.all, issuer.claims.client) ?? '';
  if (client !== '' && !isName(client)) return 'client';
  const scopes = readScopes(firstOf(claims.all, issuer.claims.scopes));
  if (scopes === null) return 'scopes';
  const groups = readGroups([issuer.claims.groups].flat().map((name) => claimAt(claims.all, name)));
  if (groups === null) return 'groups';
  const actors = readActors(own(claims.all, 'act'), issuer);
  if (actors === null) return 'act';
  return makePrincipal({
    issuer: claims.iss,
    subject,
    client,
    tenant,
    scopes,
    groups,
    proof: claims.certificate === null ? 'bearer' : 'mtls',
    actors,
    expiresAt: Math.floor(claims.exp * 1000),
  });
}

/** Adds the two digests and freezes: one principal is shared by every call of its token. */
export function makePrincipal(who: Omit<Principal, 'key' | 'authority'>): Principal {
  const { tenant, issuer, subject, client, scopes, groups, proof, actors } = who;
  return Object.freeze({
    ...who,
    scopes: Object.freeze(scopes),
    groups: Object.freeze(groups),
    actors: Object.freeze(actors),
    key: principalKey(tenant, issuer, subject),
    authority: sha256Base64Url(JSON.stringify([tenant, issuer, subject, client, scopes, groups, proof, actors])),
  });
}

function readTenant(claims: Claims, issuer: IssuerSettings): string | null {
  if (issuer.claims.tenant === undefined) return issuer.tenant ?? 'default';
  const tenant = claimAt(claims.all, issuer.claims.tenant);
  return typeof tenant === 'string' && TENANT.test(tenant) && tenant !== RESERVED_TENANT ? tenant : null;
}

/** Sorted, without repeats; a string is a list separated by blanks, an item of a list is exactly one scope. */
function readScopes(value: unknown): string[] | null {
  if (value === undefined) return [];
  const list = typeof value === 'string' ? value.split(' ').filter((item) => item !== '') : value;
  if (!isStrings(list) || list.length > MAX_SCOPES || !list.every((item) => SCOPE.test(item))) return null;
  return [...new Set(list)].sort();
}

/** All claims that are there count together; one that is no list of names makes the token unreadable. */
function readGroups(values: readonly unknown[]): string[] | null {
  const all = new Set<string>();
  for (const value of values) {
    if (value === undefined) continue;
    const list = typeof value === 'string' ? [value] : value;
    if (!isStrings(list) || !list.every(isName)) return null;
    for (const group of list) all.add(group);
    if (all.size > MAX_GROUPS) return null;
  }
  return [...all].sort();
}

/**
 * Delegation chain (RFC 8693 4.1), outermost actor first; an actor without issuer is one of the token's issuer. One of this
 * issuer is named by the claim that names its people, where the chain has it: under another name nobody could tell that who
 * decides on a call is behind it.
 */
function readActors(value: unknown, { issuer, claims }: IssuerSettings): Actor[] | null {
  const actors: Actor[] = [];
  for (let act = value; act !== undefined; ) {
    if (typeof act !== 'object' || act === null || Array.isArray(act) || actors.length === MAX_ACTORS) return null;
    const said = act as Record<string, unknown>;
    const iss = Object.hasOwn(said, 'iss') ? said['iss'] : issuer;
    const named = iss === issuer ? claimAt(said, claims.subject) : undefined;
    const subject = named === undefined ? own(said, 'sub') : named;
    if (!isName(subject) || !isName(iss)) return null;
    actors.push(Object.freeze({ issuer: iss, subject }));
    act = own(said, 'act');
  }
  return actors;
}

function firstOf(claims: Readonly<Record<string, unknown>>, names: readonly string[]): unknown {
  for (const name of names) {
    const value = claimAt(claims, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** A name people and logs will see: no control characters, no lone surrogates, no blanks at the ends. */
function isName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= 512 &&
    value.trim() === value &&
    value.isWellFormed() &&
    !CONTROL.test(value)
  );
}
