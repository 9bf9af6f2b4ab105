/**
 * An event in ArcSight Common Event Format 0, for collectors that know nothing newer: one line, a header of seven fields
 * and an extension of `key=value`. It is made from the OCSF event and says less; what CEF has no key for stands in custom
 * fields with labels. Origin and leaf (cs2, cn1) tell a line that comes twice.
 */

const VENDOR = 'Gatewrit';
/** OCSF severity → CEF: 0–3 low, 4–6 medium, 7–8 high, 9–10 very high. */
const SEVERITY: Readonly<Record<number, number>> = { 1: 2, 2: 4, 3: 6, 4: 8 };
/** What the dictionary of CEF allows; a collector drops or cuts what is longer. */
const LENGTHS: Readonly<Record<string, number>> = { act: 63, app: 31, outcome: 63, deviceExternalId: 255 };
const OTHER_LENGTH = 1_023;

/** @param event as `ocsfEvents` gives them @returns without a line feed at its end */
export function cefOf(event: object): string {
  const of = (...path: string[]) => at(event, path);
  const header = [
    VENDOR,
    VENDOR,
    of('metadata', 'product', 'version'),
    of('type_uid'),
    `${String(of('class_name'))}: ${String(of('activity_name'))}`,
    SEVERITY[Number(of('severity_id'))],
  ];
  const address = of('src_endpoint', 'ip');
  const extension: readonly (readonly [string, unknown])[] = [
    ['rt', of('time')],
    ['externalId', of('unmapped', 'record', 'id')],
    ['deviceExternalId', of('unmapped', 'record', 'replica')],
    ['cat', of('metadata', 'event_code')],
    ['act', of('api', 'operation')],
    ['app', of('api', 'service', 'name')],
    ['outcome', of('status')],
    ['reason', of('status_code')],
    ['msg', of('status_detail')],
    ['cnt', of('count')],
    // Who failed to sign in stands in `user`, whoever did something in `actor`.
    ['suid', of('actor', 'user', 'uid') ?? of('user', 'uid')],
    ['sourceServiceName', of('actor', 'app_uid')],
    ...(String(address).includes(':') ? labelled('c6a2', 'source address', address) : [['src', address] as const]),
    ...labelled('cs1', 'tenant', of('metadata', 'tenant_uid')),
    ...labelled('cs2', 'origin', of('metadata', 'log_name')),
    ...labelled('cs3', 'leaf hash', of('unmapped', 'record', 'leaf_hash')),
    ...labelled('cs4', 'call', of('metadata', 'correlation_uid')),
    ...labelled('cs5', 'rules', of('policy', 'name')),
    ...labelled('cs6', 'found', of('data_security', 'detection_pattern')),
    ...labelled('cn1', 'leaf', of('metadata', 'sequence')),
    ...labelled('cn2', 'journal index', of('unmapped', 'record', 'journal_index')),
    ...labelled('cn3', 'milliseconds', of('duration')),
  ];
  const said = extension.filter(([, value]) => value !== undefined && value !== '');
  const pairs = said.map(([key, value]) => `${key}=${inExtension(cut(String(value), LENGTHS[key] ?? OTHER_LENGTH))}`);
  return `CEF:0|${header.map((field) => inHeader(String(field))).join('|')}|${pairs.join(' ')}`;
}

/** A custom field and what it is; nothing when it has no value. */
function labelled(key: string, label: string, value: unknown): readonly (readonly [string, unknown])[] {
  return value === undefined ? [] : [[key, value] as const, [`${key}Label`, label] as const];
}

function at(event: object, path: readonly string[]): unknown {
  let value: unknown = event;
  for (const name of path) value = (value as Readonly<Record<string, unknown>> | null | undefined)?.[name];
  return value;
}

/** Whole characters only: half of a pair would be none. */
function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length - 1).toWellFormed();
}

/** Names, evidence and clients are what strangers sent: none of it may begin a line, a field or a key of its own. */
function inHeader(text: string): string {
  return withoutControls(text.replace(/[\r\n]/g, ' ')).replace(/[\\|]/g, '\\$&');
}

function inExtension(text: string): string {
  return withoutControls(text.replace(/[\\=]/g, '\\$&').replace(/\n/g, '\\n').replace(/\r/g, '\\r'));
}

/** C0, DEL, C1 and the two separators that some collectors take for the end of a line. */
function withoutControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');
}
