import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Call, CallWith, Now } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { uuidv7 } from '../../core/ids.ts';
import { Refusal } from '../../core/stage.ts';
import { memoryRows, openMemoryStore } from '../../core/store/memory.ts';
import type { Store } from '../../core/store/store.ts';
import { type Audit, type AuditOptions, openAudit } from './audit.ts';
import { type AuditSettings, auditSettings } from './settings.ts';

/** For tests of this control: a home that is thrown away, a clock that is set, calls as they come before stage 14. */
export interface Fixture {
  readonly home: string;
  readonly store: Store;
  readonly clock: { utc: number; mono: number };
  readonly fatal: Error[];
  open(changes?: Partial<AuditOptions>, settings?: Parameters<typeof auditSettings.parse>[0]): Promise<Audit>;
  remove(): void;
}

export function fixture(store: Store = openMemoryStore(memoryRows())): Fixture {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-audit-'));
  const clock = { utc: 1_790_000_000_000, mono: 1_000 };
  const fatal: Error[] = [];
  return {
    home,
    store,
    clock,
    fatal,
    open: (changes = {}, settings = {}) =>
      openAudit({
        settings: settingsOf(settings),
        home,
        keys: { folder: join(home, 'keys'), generate: true },
        store,
        deployment: 'test',
        replica: 'node-1',
        onFatal: (error) => fatal.push(error),
        clock: () => ({ ...clock }),
        ...changes,
      }),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** Signs only when asked or closed, unless told otherwise. */
export function settingsOf(changes: unknown): AuditSettings {
  return auditSettings.parse({ checkpointMs: 60_000, reserveBytes: 4_096, ...(changes as object) });
}

export const CANARIES = {
  tenant: 'canary-tenant-7f3a',
  subject: 'canary-subject-9b1c@example.com',
  issuer: 'https://canary-issuer-51.example.com',
  client: 'canary-client-22',
  target: 'canary-server-8/canary_tool_4',
  argument: 'canary argument value 1234-5678',
  reply: 'canary reply value 8765-4321',
  diagnostics: 'canary diagnostics at /srv/app/db.js:42',
} as const;

type Ready = CallWith<'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval'>;

/** A call with everything the intent needs. */
export function readyCall(now: Now, changes: { subject?: string; tenant?: string; argument?: string } = {}): Ready {
  const subject = changes.subject ?? CANARIES.subject;
  const tenant = changes.tenant ?? CANARIES.tenant;
  const bytes = Buffer.from(JSON.stringify({ query: changes.argument ?? CANARIES.argument }));
  const call = bareCall(now) as Ready;
  call.principal = {
    issuer: CANARIES.issuer,
    subject,
    client: CANARIES.client,
    tenant,
    scopes: ['a:b'],
    groups: [],
    proof: 'bearer',
    actors: [],
    expiresAt: now.utc + 60_000,
    key: `key of ${subject}`,
    authority: 'authority',
  };
  call.message = {
    revision: '2026-07-28',
    kind: 'request',
    method: 'tools/call',
    id: 1,
    name: CANARIES.target,
    params: {},
    bytes,
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
  };
  call.target = {
    kind: 'tool',
    tenant,
    server: 'canary-server-8',
    name: 'canary_tool_4',
    exposed: 'canary__tool',
    key: CANARIES.target,
    digest: sha256Base64Url('definition'),
    manifest: sha256Base64Url('manifest'),
    effect: 'read',
    scopes: ['a:b'],
    definition: {},
    limits: { cost: 1, maxArgumentBytes: 1e6, maxResultBytes: 1e6, maxConcurrent: 8, timeoutMs: 1_000 },
    errors: 'scrub',
  };
  call.arguments = { view: {}, digest: sha256Base64Url(bytes), bytes: () => bytes };
  call.decision = {
    obligations: { approval: null, redaction: null, maxResultBytes: null },
    rules: ['rule-1'],
    policy: sha256Base64Url('policy'),
    wouldRefuse: null,
  };
  call.findings = { list: [] };
  call.approval = { use: 'none', id: null, approvers: [], stored: null, approved: null };
  return call;
}

/** A call nobody has looked at. */
export function bareCall(now: Now): Call {
  return {
    id: uuidv7(now.utc),
    way: 'http',
    cancel: () => undefined,
    arrived: now,
    head: {
      version: '1.1',
      method: 'POST',
      path: '/mcp',
      query: '',
      headers: {},
      rawHeaders: [],
      address: '192.0.2.7',
      certificate: null,
    },
    source: { read: () => 'aborted' },
    signal: new AbortController().signal,
    events: null,
  };
}

/** Runs intent and outcome of one call, the way the pipeline does. */
export async function runCall(audit: Audit, call: Ready, now: Now): Promise<void> {
  const intent = await audit.stages.intent.run(call, now);
  if (intent instanceof Refusal) throw intent.facts.cause ?? new Error(intent.code);
  if (!('index' in intent)) throw new Error('an intent leaves its place');
  call.intent = intent;
  const bytes = Buffer.from(JSON.stringify({ text: CANARIES.reply }));
  call.reply = { kind: 'result', bytes, findings: [], diagnostics: Buffer.from(CANARIES.diagnostics), status: 200 };
  const receipt = await audit.stages.outcome.run(call, now);
  if (receipt instanceof Refusal) throw receipt.facts.cause ?? new Error(receipt.code);
  call.receipt = receipt;
}
