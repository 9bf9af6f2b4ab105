import { isIP } from 'node:net';
import type { OpenRecord } from '../reader/read.ts';

/** The release of the Open Cybersecurity Schema Framework that is written. */
export const OCSF_VERSION = '1.8.0';
const PRODUCT = 'Gatewrit';

/** What a record does not say of itself. */
export interface ExportFacts {
  readonly deployment: string;
  /** Version of this software. */
  readonly version: string;
}

type Meta = Readonly<Record<string, unknown>>;
type Fields = Record<string, unknown>;

const CLASSES = {
  3002: { class_name: 'Authentication', category_uid: 3, category_name: 'Identity & Access Management' },
  6003: { class_name: 'API Activity', category_uid: 6, category_name: 'Application Activity' },
  2006: { class_name: 'Data Security Finding', category_uid: 2, category_name: 'Findings' },
} as const;
type ClassUid = keyof typeof CLASSES;

const OTHER = 99;
const CRUD = { create: 1, read: 2, update: 3, delete: 4 } as const;
const CRUD_NAMES: Readonly<Record<number, string>> = { 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete' };
const SEVERITIES: Readonly<Record<number, string>> = { 1: 'Informational', 2: 'Low', 3: 'Medium', 4: 'High' };

/** What the log, its keeper and its controls do themselves is an act on our own service. */
const OWN_ACTS: Readonly<Record<string, keyof typeof CRUD>> = {
  approval: 'update',
  registry: 'update',
  settings: 'update',
  keys: 'update',
  erasure: 'delete',
};
const READING = /^(?:resources\/(?:read|list|templates\/list)|prompts\/(?:get|list)|tools\/list|completion\/complete)$/;

/**
 * The event of a record: sign-ins that failed are Authentication (3002), everything else API Activity (6003). Never a
 * value of a call: those are in the payload, which is not looked at. `metadata.uid` is origin and leaf: the same record
 * exported twice has the same one. `intent` is the `meta` of the call's intent, where it is at hand: an outcome does not
 * say again what that said.
 */
export function ocsfOf(record: OpenRecord, facts: ExportFacts, intent?: Meta): object {
  const meta: Meta = { ...intent, ...record.meta };
  const codes = codesOf(meta);
  const signIn = codes.length > 0 && codes.every((code) => code.startsWith('authentication.'));
  return signIn ? authenticationOf(record, facts, meta) : activityOf(record, facts, meta);
}

/** All events of a record: that of `ocsfOf`, and Data Security Finding (2006) when redaction found something. */
export function ocsfEvents(record: OpenRecord, facts: ExportFacts, intent?: Meta): object[] {
  const main = ocsfOf(record, facts, intent);
  const found = textsOf(record.meta?.['findings']);
  if (found.length === 0 && record.meta?.['code'] !== 'redaction.blocked') return [main];
  return [main, findingOf(record, facts, { ...intent, ...record.meta }, found)];
}

function activityOf(record: OpenRecord, facts: ExportFacts, meta: Meta): object {
  const { kind } = record.envelope;
  const [server, name] = targetOf(meta);
  const method = text(meta['method']);
  const own = !['intent', 'outcome', 'refusal', 'refusals'].includes(kind);
  const activity = own ? (OWN_ACTS[kind] ? CRUD[OWN_ACTS[kind]] : OTHER) : activityIdOf(meta);
  const operation = own ? (text(meta['event']) ?? kind) : (name ?? method ?? text(meta['http']) ?? 'unknown');
  const status = number(meta['status']);
  const code = text(meta['code']);
  const ai = !own && method === 'tools/call';
  const judged = !own && (text(meta['policy']) !== undefined || code !== undefined);
  return event(record, facts, meta, {
    uid: 6003,
    activity,
    activityName: CRUD_NAMES[activity] ?? (own ? kind : (method ?? 'Other')),
    profiles: [...(judged ? ['security_control'] : []), ...(ai ? ['ai_operation'] : [])],
    fields: {
      actor: actorOf(meta),
      api: {
        operation,
        service: { name: own ? PRODUCT.toLowerCase() : (server ?? PRODUCT.toLowerCase()) },
        ...optional('version', text(meta['revision'])),
        ...(text(meta['call']) === undefined ? {} : { request: { uid: text(meta['call']) } }),
        ...(status === undefined && code === undefined
          ? {}
          : { response: { ...optional('code', status), ...optional('error', own ? undefined : code) } }),
      },
      src_endpoint: endpointOf(meta),
      ...(judged ? verdictOf(code) : {}),
      ...(judged && text(meta['policy']) !== undefined
        ? {
            policy: {
              uid: text(meta['policy']),
              ...optional('name', textsOf(meta['rules']).join(' ') || undefined),
              is_applied: true,
            },
          }
        : {}),
      ...(ai && server !== undefined
        ? { message_context: { ai_role: 'Tool', ai_role_id: 3, service: { name: server }, name: operation } }
        : {}),
      ...resourcesOf(meta),
    },
  });
}

function authenticationOf(record: OpenRecord, facts: ExportFacts, meta: Meta): object {
  return event(record, facts, meta, {
    uid: 3002,
    activity: 1,
    activityName: 'Logon',
    profiles: ['security_control'],
    fields: {
      user: userOf(meta) ?? { name: 'unknown' },
      service: { name: PRODUCT.toLowerCase() },
      src_endpoint: endpointOf(meta),
      auth_protocol_id: 6,
      auth_protocol: 'OAUTH 2.0',
      is_remote: true,
      ...verdictOf(codesOf(meta)[0]),
    },
  });
}

function findingOf(record: OpenRecord, facts: ExportFacts, meta: Meta, found: readonly string[]): object {
  const types = [...new Set(found.map((one) => one.slice(0, one.lastIndexOf(':'))))];
  const blocked = meta['code'] === 'redaction.blocked';
  const where = record.envelope.kind === 'intent' ? 'the arguments' : 'the call or its reply';
  const uid = `${uidOf(record)}/finding`;
  return event(
    record,
    facts,
    meta,
    {
      uid: 2006,
      activity: 1,
      activityName: 'Create',
      profiles: ['security_control'],
      fields: {
        finding_info: {
          uid,
          title: `${PRODUCT} found sensitive data in ${where}`,
          created_time: record.envelope.t_ms,
          ...(types.length > 0 ? { types } : {}),
        },
        data_security: {
          detection_system_id: 2,
          detection_system: 'DLP Gateway',
          data_lifecycle_state_id: 2,
          data_lifecycle_state: 'Data in-Transit',
          ...(types.length > 0 ? { detection_pattern: types.join(' ') } : {}),
        },
        status_id: 1,
        status: 'New',
        is_alert: blocked,
        severity_id: blocked ? 3 : 1,
        severity: SEVERITIES[blocked ? 3 : 1],
        action_id: blocked ? 2 : found.every((one) => one.endsWith(':reported')) ? 3 : 4,
        disposition_id: blocked ? 2 : found.every((one) => one.endsWith(':reported')) ? 17 : 11,
        actor: actorOf(meta),
        src_endpoint: endpointOf(meta),
        ...resourcesOf(meta),
      },
    },
    uid,
  );
}

interface Shape {
  readonly uid: ClassUid;
  readonly activity: number;
  readonly activityName: string;
  readonly profiles: readonly string[];
  readonly fields: Fields;
}

/** What every event has. */
function event(record: OpenRecord, facts: ExportFacts, meta: Meta, shape: Shape, uid = uidOf(record)): object {
  const { envelope, origin, leaf, index, replica, leafHash, notes } = record;
  const { uid: classUid, activity, activityName, profiles, fields } = shape;
  const [statusId, status] = statusOf(record, meta);
  const severity = severityOf(record, meta);
  const code = text(meta['code']);
  const duration = number(meta['duration_ms']);
  const detail = text(meta['evidence']) ?? text(meta['text']);
  return {
    activity_id: activity,
    activity_name: activityName,
    class_uid: classUid,
    ...CLASSES[classUid],
    type_uid: classUid * 100 + activity,
    time: envelope.t_ms,
    severity_id: severity,
    severity: SEVERITIES[severity],
    status_id: statusId,
    status,
    ...optional('status_code', code ?? number(meta['status'])?.toString()),
    ...optional('status_detail', detail),
    ...optional('duration', duration),
    ...optional('count', number(meta['count'])),
    metadata: {
      uid,
      version: OCSF_VERSION,
      product: { name: PRODUCT, vendor_name: PRODUCT, version: facts.version },
      log_name: origin,
      log_provider: facts.deployment,
      sequence: leaf,
      event_code: text(meta['event']) ?? envelope.kind,
      ...optional('tenant_uid', text(meta['tenant'])),
      ...optional('correlation_uid', text(meta['call'])),
      ...(profiles.length > 0 ? { profiles } : {}),
    },
    unmapped: {
      record: {
        id: envelope.id,
        kind: envelope.kind,
        replica,
        journal_index: index,
        origin,
        leaf,
        leaf_hash: leafHash.toString('base64'),
        refs: envelope.refs,
        ...(notes.length > 0 ? { notes } : {}),
      },
      facts: leftOver(meta),
    },
    ...fields,
  };
}

/** Origin and leaf: what tells an event that comes twice. */
function uidOf({ origin, leaf }: OpenRecord): string {
  return `${origin}#${leaf}`;
}

function statusOf(record: OpenRecord, meta: Meta): readonly [number, string] {
  if (!record.meta) return [0, 'Unknown'];
  switch (record.envelope.kind) {
    case 'intent':
      return [OTHER, 'Begun'];
    case 'refusal':
    case 'refusals':
      return [2, 'Failure'];
    case 'outcome':
      return text(meta['code']) !== undefined || meta['reply_kind'] === 'error' ? [2, 'Failure'] : [1, 'Success'];
    case 'recovery':
    case 'full':
      return [2, 'Failure'];
    default:
      return [1, 'Success'];
  }
}

function severityOf({ envelope: { kind }, meta: own }: OpenRecord, meta: Meta): number {
  if (kind === 'recovery' || kind === 'full' || !own) return 4;
  const [code] = codesOf(meta);
  if (code === undefined) return 1;
  if (code.startsWith('audit.')) return 4;
  return /^(?:authorization\.denied|approval\.denied|redaction\.)/.test(code) ? 3 : 2;
}

/** Profile security_control: allowed, or denied and why it was blocked. */
function verdictOf(code: string | undefined): Fields {
  if (code === undefined) return { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' };
  const control = code.slice(0, code.indexOf('.'));
  if (control === 'authentication' || control === 'authorization')
    return { action_id: 2, action: 'Denied', disposition_id: 26, disposition: 'Unauthorized' };
  if (control === 'upstream' || control === 'audit' || control === 'errors')
    return { action_id: OTHER, action: 'Failed', disposition_id: 27, disposition: 'Error' };
  return { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' };
}

function activityIdOf(meta: Meta): number {
  const method = text(meta['method']);
  if (method !== undefined && READING.test(method)) return CRUD.read;
  switch (meta['effect']) {
    case 'read':
      return CRUD.read;
    case 'write':
      return CRUD.update;
    case 'destructive':
      return CRUD.delete;
    default:
      return OTHER;
  }
}

/** Somebody who acted, or the software they used; `unknown` when the record does not say (or does not open). */
function actorOf(meta: Meta): object {
  const user = userOf(meta);
  const issuer = text(meta['issuer']) ?? text((meta['by'] as Meta | undefined)?.['issuer']);
  const client = text(meta['client']);
  const chain = Array.isArray(meta['actors']) ? (meta['actors'] as Meta[]) : [];
  const via = chain.map((actor) => text(actor?.['subject']) ?? '').filter((name) => name !== '');
  return {
    ...(user ? { user } : {}),
    ...(issuer === undefined ? {} : { idp: { name: issuer } }),
    ...(client === undefined ? (user ? {} : { app_name: 'unknown' }) : { app_uid: client }),
    ...(via.length > 0 ? { invoked_by: via.join(' < ') } : {}),
  };
}

function userOf(meta: Meta): object | null {
  const by = meta['by'];
  const subject = text(by) ?? text((by as Meta | undefined)?.['subject']) ?? text(meta['subject']);
  return subject === undefined ? null : { uid: subject };
}

/** The address of a caller is recorded only while nobody knows who it is; then the client stands for it. */
function endpointOf(meta: Meta): object {
  const address = text(meta['address']);
  if (address !== undefined) return isIP(address) ? { ip: address } : { name: address };
  const client = text(meta['client']);
  const way = text(meta['way']);
  return client === undefined ? { svc_name: way ?? 'unknown' } : { uid: client, ...optional('svc_name', way) };
}

function resourcesOf(meta: Meta): Fields {
  const key = text(meta['target']);
  if (key === undefined) return {};
  const version = text(meta['target_digest']);
  return { resources: [{ uid: key, name: targetOf(meta)[1] ?? key, role_id: 1, ...optional('version', version) }] };
}

/** Server and name of `server/name`. */
function targetOf(meta: Meta): readonly [string | undefined, string | undefined] {
  const key = text(meta['target']);
  if (key === undefined) return [text(meta['server']), text(meta['name'])];
  const slash = key.indexOf('/');
  return slash < 0 ? [undefined, key] : [key.slice(0, slash), key.slice(slash + 1)];
}

const MAPPED: ReadonlySet<string> = new Set(
  'actors address call client code count duration_ms event evidence issuer method revision status subject subject_key target target_digest tenant way'.split(
    ' ',
  ),
);

/** What the schema has no place for: words and numbers of the sealed meta, which holds no value of a call. */
function leftOver(meta: Meta): Fields {
  const left: Fields = {};
  for (const [name, value] of Object.entries(meta)) {
    if (MAPPED.has(name)) continue;
    if (['string', 'number', 'boolean'].includes(typeof value)) left[name] = value;
    else if (Array.isArray(value) && value.every((one) => typeof one === 'string')) left[name] = value;
    else if (name === 'codes') left[name] = value;
  }
  return left;
}

function codesOf(meta: Meta): string[] {
  const code = text(meta['code']);
  if (code !== undefined) return [code];
  const codes = meta['codes'];
  return typeof codes === 'object' && codes !== null ? Object.keys(codes) : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return Number.isSafeInteger(value) ? (value as number) : undefined;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function optional(name: string, value: unknown): Fields {
  return value === undefined ? {} : { [name]: value };
}
