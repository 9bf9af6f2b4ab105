import { randomBytes } from 'node:crypto';
import type { Call, CallWith, Decision, Now, Principal, Reply, Target } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { seal, sealKey, unseal } from '../../core/crypto/envelope.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { openMemoryStore } from '../../core/store/memory.ts';
import type { Store } from '../../core/store/store.ts';
import { openApproval } from './approval.ts';
import type { ApprovalEvent, Records, Vault } from './ports.ts';
import { type ApprovalSettings, approvalSettings } from './settings.ts';

/** What the tests of this control stand on: calls as the stages before would have left them, and ports that work. */

export const T = 1_760_000_000_000;
export const SECOND = 1_000;
export const MINUTE = 60_000;
export const at = (ms: number): Now => ({ utc: T + ms, mono: ms });

export const mac = [{ kid: 'mac-1', secret: new Uint8Array(32).fill(7) }] as const;
const keys = new Map<string, ReturnType<typeof sealKey>>();

/** Seals for real, one key per subject; `erase` throws the key away. */
export const vault: Vault & { erase(tenant: string, subject: string): void } = {
  seal: (tenant, subject, plaintext, aad) => seal(keyOf(tenant, subject), plaintext, aad),
  open: (tenant, subject, sealed, aad) => unseal(keyOf(tenant, subject), sealed, aad),
  erase: (tenant, subject) => void keys.delete(`${tenant}/${subject}`),
};

function keyOf(tenant: string, subject: string) {
  const name = `${tenant}/${subject}`;
  if (!keys.has(name)) keys.set(name, sealKey(randomBytes(32)));
  return keys.get(name)!;
}

/** A log in memory that can be made to fail. */
export class Log implements Records {
  readonly events: ApprovalEvent[] = [];
  fails = false;
  /** Called before a record counts as durable. */
  before: (event: ApprovalEvent) => Promise<void> | void = () => undefined;

  async record(event: ApprovalEvent): Promise<void> {
    await this.before(event);
    if (this.fails) throw new Error('disk full');
    this.events.push(event);
  }

  kinds(): string[] {
    return this.events.map((event) => event.kind.slice('approval.'.length));
  }
}

export function kit(options: { store?: Store; settings?: object; log?: Log; mac?: KeyPairOf<SymmetricKey> } = {}) {
  const log = options.log ?? new Log();
  const store = options.store ?? openMemoryStore();
  const settings: ApprovalSettings = approvalSettings.parse(options.settings ?? {});
  const control = openApproval({ settings, store, vault, records: log, mac: options.mac ?? mac });
  const check = (call: TestCall, now: Now) => control.stages.check.run(call, now);
  const run = async (call: TestCall, now: Now) => {
    const approval = await check(call, now);
    if (!('use' in approval)) return approval;
    call.approval = approval;
    call.intent = { index: 1, id: 'intent-1' };
    return control.stages.consume.run(call as never, now);
  };
  const act = (
    verb: 'list' | 'show' | 'approve' | 'deny',
    principal: Principal,
    args: Record<string, unknown>,
    now: Now,
  ) => control.operations[`admin.approvals.${verb}`].run({ principal, arguments: args, now });
  return { control, log, store, check, run, act };
}

export function person(subject: string, more: Partial<Principal> = {}): Principal {
  const tenant = more.tenant ?? 'acme';
  const issuer = more.issuer ?? 'https://issuer.test';
  return {
    issuer,
    subject,
    client: 'desktop',
    tenant,
    scopes: [],
    groups: [],
    proof: 'bearer',
    actors: [],
    expiresAt: T + 60 * MINUTE,
    key: sha256Base64Url(JSON.stringify([tenant, issuer, subject])),
    authority: subject,
    ...more,
  };
}

export const alice = person('alice');
export const approver1 = person('approver1', { groups: ['approvers'] });
export const approver2 = person('approver2', { groups: ['approvers'] });

export type TestCall = CallWith<'principal' | 'message' | 'target' | 'arguments' | 'round' | 'decision'>;

let calls = 0;

/** A call of alice to jira_create, changed as the test says. */
export function callOf(
  change: {
    principal?: Principal;
    arguments?: Record<string, unknown>;
    target?: Partial<Target>;
    decision?: Partial<Decision>;
    approval?: string | null;
    meta?: Record<string, unknown>;
    name?: string;
    /** The approval that was used up in an earlier round of this call. */
    grant?: string;
  } = {},
): TestCall {
  const view = change.arguments ?? { title: 'Delete the customer table', description: 'please' };
  const principal = change.principal ?? alice;
  const call: Partial<Call> = {
    id: `call-${++calls}`,
    principal,
    message: {
      revision: '2026-07-28',
      kind: 'request',
      method: 'tools/call',
      id: 1,
      name: change.name ?? 'jira__jira_create',
      params: { ...(change.meta ? { _meta: change.meta } : {}) },
      bytes: new Uint8Array(),
      spans: {
        id: null,
        method: { start: 0, end: 0 },
        params: null,
        name: null,
        arguments: null,
        meta: null,
        outcome: null,
        metaMembers: new Map(),
      },
    },
    target: {
      kind: 'tool',
      tenant: principal.tenant,
      server: 'jira',
      name: 'jira_create',
      exposed: 'jira__jira_create',
      key: 'jira/jira_create',
      digest: 'definition-1',
      manifest: 'manifest-1',
      effect: 'destructive',
      scopes: ['jira:write'],
      definition: {},
      limits: { cost: 1, maxArgumentBytes: 65_536, maxResultBytes: 1 << 20, maxConcurrent: 8, timeoutMs: 30_000 },
      errors: 'scrub',
      ...change.target,
    },
    round: { answers: null, grant: change.grant ?? null },
    arguments: { view, digest: sha256Base64Url(canonicalJson(view)), bytes: () => Buffer.from(JSON.stringify(view)) },
    decision: {
      obligations: {
        approval: change.approval === undefined ? 'destructive' : change.approval,
        redaction: null,
        maxResultBytes: null,
      },
      rules: ['jira-writers'],
      policy: 'policy-1',
      wouldRefuse: null,
      ...change.decision,
    },
  };
  return call as TestCall;
}

export function replyOf(json: string, kind: 'result' | 'error' = 'result'): Reply {
  return { kind, bytes: Buffer.from(json), findings: [], diagnostics: null, status: 200 };
}

/** The id in a refusal `approval.required`, or the code of whatever else came. */
export function idIn(left: unknown): string {
  const refusal = left as { code?: string; facts?: { approval?: { id: string } } };
  return refusal.facts?.approval?.id ?? `no id: ${refusal.code ?? JSON.stringify(left)}`;
}

export function codeOf(left: unknown): string {
  const refusal = left as { code?: string; use?: string; id?: string };
  return refusal.code ?? refusal.use ?? (refusal.id === undefined ? 'answer' : 'consumed');
}
