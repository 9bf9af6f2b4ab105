import type { Principal, Target, TargetKind } from '../../core/call.ts';
import type { EntityJson, TypeAndId } from './engine.ts';

export type KnownEntity = EntityJson & { readonly uid: TypeAndId };

/** Templates are read like the resources they make. */
export const ACTIONS = {
  tool: 'call_tool',
  prompt: 'get_prompt',
  resource: 'read_resource',
  template: 'read_resource',
  admin: 'admin',
} as const satisfies Record<TargetKind, string>;

export function actionOf(kind: TargetKind): TypeAndId {
  return { type: 'Action', id: ACTIONS[kind] };
}

/** Identity comes from the verified credential alone, never from arguments, `_meta` or headers. */
export function principalEntity(principal: Principal, scopes: readonly string[] = principal.scopes): KnownEntity {
  return {
    uid: { type: 'Principal', id: `${principal.issuer}#${principal.subject}` },
    attrs: {
      subject: principal.subject,
      issuer: principal.issuer,
      client: principal.client,
      tenant: principal.tenant,
      groups: [...principal.groups],
      scopes: [...scopes],
      proof: principal.proof,
      actors: principal.actors.map(({ issuer, subject }) => ({ issuer, subject })),
    },
    parents: principal.groups.map((id) => ({ type: 'Group', id })),
  };
}

export function targetEntity(target: Target): KnownEntity {
  return {
    uid: { type: 'Target', id: target.key },
    attrs: {
      server: target.server,
      name: target.name,
      key: target.key,
      kind: target.kind,
      effect: target.effect,
      scopes: [...target.scopes],
      tenant: target.tenant,
    },
    parents: [{ type: 'Server', id: target.server }],
  };
}
