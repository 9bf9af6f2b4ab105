import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type AuditSettings, allWitnesses, witnessWords } from '../../controls/audit/index.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { openSecret } from '../../core/settings.ts';
import type { Sections } from '../../sections.ts';
import type { WeakPoint } from './check-points.ts';

type Sink = AuditSettings['sinks'][number];

/** What the audit section names outside the home, and what of the log in the home others may read. Nothing is asked over the network. */
export function auditPoints(home: string, { audit, authentication }: Sections): WeakPoint[] {
  return [
    ...kekPoints(audit.kek),
    ...audit.sinks.flatMap(sinkPoints),
    ...(audit.witness ? allWitnesses(audit.witness) : []).flatMap(({ ca }) => fileAt('audit.witness ca', ca)),
    ...(authentication.development ? [] : elsewherePoints(audit)),
    ...['audit', 'store', 'audit-index'].flatMap((name) => modePoints(join(home, name))),
  ];
}

/** Where the log can be seen besides in the home, for the card. */
export function auditPlaces({ kek, sinks, witness }: AuditSettings, keyDays: number | null): string {
  const key =
    kek === undefined
      ? `KEK in the home${keyDays === null ? '' : `, ${keyDays} d old`}`
      : typeof kek === 'string'
        ? `KEK from ${kek}`
        : `KEK wrapped by ${kek.transit.url}`;
  const names = sinks.map(
    (sink) => `${sink.name} (${sink.kind}${'required' in sink && sink.required ? ', required' : ''})`,
  );
  const shown = witness ? `${witnessWords(witness)} every ${witness.everyMs / 1000} s` : 'no witness';
  return `${key}; ${names.length === 0 ? 'no sinks' : `sinks ${names.join(', ')}`}; ${shown}`;
}

function elsewherePoints({ sinks, witness }: AuditSettings): WeakPoint[] {
  if (witness || sinks.some(({ kind }) => kind === 'folder' || kind === 's3')) return [];
  return [
    weak(
      'audit.witness and audit.sinks name no witness and no copy: nobody else can tell a log that was rewritten',
      'name a witness that others run (docs/guides/audit-witness.md), or a copy: a sink of kind s3 or folder',
    ),
  ];
}

function kekPoints(kek: AuditSettings['kek']): WeakPoint[] {
  if (kek === undefined) return [];
  if (typeof kek === 'string') return secretAt('audit.kek', kek);
  return [...secretAt('audit.kek.transit.token', kek.transit.token), ...fileAt('audit.kek.transit.ca', kek.transit.ca)];
}

function sinkPoints(sink: Sink): WeakPoint[] {
  const key = `audit.sinks ${sink.name}`;
  switch (sink.kind) {
    case 'folder':
      return existsSync(sink.path)
        ? []
        : [
            weak(
              `${key}: there is no folder ${sink.path}: nothing is copied`,
              'mount that disk, or make the folder on it',
            ),
          ];
    case 's3':
      return [...secretAt(key, sink.accessKeyId), ...secretAt(key, sink.secretAccessKey)];
    case 'otlp':
      return [...secretAt(key, sink.bearer), ...fileAt(key, sink.ca)];
    case 'jsonl':
      return existsSync(join(sink.path, '..'))
        ? []
        : [weak(`${key}: there is no folder for ${sink.path}: no line is written`, 'make the folder of that file')];
  }
}

function secretAt(key: string, reference: string | undefined): WeakPoint[] {
  if (reference === undefined) return [];
  try {
    openSecret(reference);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return [stops(`${key}: ${error.message}`, 'put the secret there, mode 0600, or name another place')];
  }
}

function fileAt(key: string, path: string | undefined): WeakPoint[] {
  if (path === undefined) return [];
  try {
    readFileSync(path);
    return [];
  } catch {
    return [stops(`${key}: ${path} cannot be read`, 'put the certificate of the authority there, in PEM')];
  }
}

function modePoints(folder: string): WeakPoint[] {
  if (!existsSync(folder) || (statSync(folder).mode & 0o077) === 0) return [];
  return [weak(`${folder} may be read by others`, `chmod 700 ${folder}`)];
}

const weak = (what: string, remedy: string): WeakPoint => ({ place: 'audit', what, remedy, stops: false });
const stops = (what: string, remedy: string): WeakPoint => ({ place: 'audit', what, remedy, stops: true });
