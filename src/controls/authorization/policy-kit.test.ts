import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { z } from 'zod';
import type { Arguments, CallWith, Now, Principal, Target } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { type Authorization, openAuthorization } from './authorization.ts';
import { principalOf, principalShape, targetOf, targetShape } from './decision-cases.ts';
import { authorizationSettings } from './settings.ts';

/** What the tests of this folder share: policy folders on the disk, principals, targets and calls. No test is in here. */
const temporary = mkdtempSync(join(tmpdir(), 'gatewrit-policy-'));
after(() => rmSync(temporary, { recursive: true }));
let folders = 0;

export const SCOPES = `format: 1
scopes:
  files:read: { title: R, description: R, risk: low }
  files:write: { title: W, description: W, risk: high }
  mail:send: { title: M, description: M, risk: high }
`;

export const USE = `@id("use") permit (principal, action, resource)
when { !resource.scopes.isEmpty() && principal.scopes.containsAll(resource.scopes) };
`;

/** A policy folder with a catalogue and these files. */
export function policyFolder(files: Record<string, string>): string {
  const folder = join(temporary, String(folders++));
  mkdirSync(folder);
  for (const [file, text] of Object.entries({ 'scopes.yaml': SCOPES, ...files }))
    writeFileSync(join(folder, file), text);
  return folder;
}

export const frozen = (): Now => ({ utc: Date.UTC(2026, 0, 1, 12), mono: 0 });

export async function authorizationOf(
  files: Record<string, string>,
  options: { settings?: z.input<typeof authorizationSettings>; now?: () => Now; report?: (fault: Error) => void } = {},
): Promise<Authorization & { readonly folder: string }> {
  const folder = policyFolder(files);
  const settings = authorizationSettings.parse(options.settings ?? {});
  const { report } = options;
  const opened = await openAuthorization({
    settings,
    folder,
    now: options.now ?? frozen,
    ...(report ? { report } : {}),
  });
  return Object.defineProperty(opened, 'folder', { value: folder }) as Authorization & { readonly folder: string };
}

export const principal = (fields: z.input<typeof principalShape> = {}): Principal =>
  principalOf(principalShape.parse(fields));

export const target = (fields: Partial<z.input<typeof targetShape>> = {}): Target =>
  targetOf(targetShape.parse({ server: 'files', name: 'list', scopes: ['files:read'], ...fields }));

export function argumentsOf(json: string): Arguments {
  return { view: JSON.parse(json), digest: sha256Base64Url(json), bytes: () => Buffer.from(json) };
}

/** Through the stage, as a call that names the target (or nothing) would. */
export function see(authorization: Authorization, who: Principal, what: Target | null, method = 'tools/call') {
  const call = { principal: who, message: { method }, candidate: { target: what } };
  return authorization.stages.visible.run(call as unknown as CallWith<'principal' | 'message' | 'candidate'>, frozen());
}

export function decide(authorization: Authorization, who: Principal, what: Target, json = '{}', now = frozen()) {
  const call = { principal: who, message: { method: 'tools/call' }, target: what, arguments: argumentsOf(json) };
  return authorization.stages.decide.run(
    call as unknown as CallWith<'principal' | 'message' | 'target' | 'arguments'>,
    now,
  );
}
