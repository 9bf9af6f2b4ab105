import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { configurationOf, readConfiguration } from './configuration.ts';
import { auditSettings } from './controls/audit/index.ts';
import { SettingsError } from './core/internal-error.ts';
import { readSection } from './core/settings.ts';

const said = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  return assert.fail('these settings were taken');
};
const ofUpstream = (upstream: unknown) => said(() => configurationOf({ upstreams: { crm: upstream } }, '/'));
const ofAudit = (audit: unknown) => said(() => readSection('audit', auditSettings, audit));

describe('a slip in the settings is named', () => {
  test('in an upstream, which has two forms', () => {
    assert.equal(
      ofUpstream({ stdio: { comand: 'node' } }),
      'upstreams.crm.stdio.command: Invalid input: expected string, received undefined\n' +
        'upstreams.crm.stdio: unknown key "comand", did you mean "command"?',
    );
    assert.match(ofUpstream({ http: { url: 'http://x', transport: 'ssee' } }), /^upstreams\.crm\.http\.transport: /);
    assert.match(ofUpstream({ http: { url: 'http://x', certificate: 1 } }), /\(known: url, ca, authorization, /);
  });

  test('where no form was meant, or two', () => {
    assert.equal(ofUpstream({}), 'upstreams.crm: takes one of stdio, http');
    assert.equal(ofUpstream({ htpp: { url: 'http://x' } }), 'upstreams.crm: takes one of stdio, http');
    assert.equal(
      ofUpstream({ stdio: { command: 'x' }, http: { url: 'http://x' } }),
      'upstreams.crm: takes one of stdio, http',
    );
    assert.equal(ofUpstream('node'), 'upstreams.crm: takes one of stdio, http');
  });

  test('in one of several kinds of sinks', () => {
    const known = ofAudit({ sinks: [{ kind: 'folder', name: 'a', path: '/x', bucket: 'b', quux: 1 }] });
    assert.match(known, /^audit\.sinks\.0: unknown key "bucket"/);
    assert.match(known, /"quux" \(known: kind, name, required, deadlineMs, path\)$/);
    assert.match(ofAudit({ sinks: [{ kind: 'folder', nmae: 'a', path: '/x' }] }), /"nmae", did you mean "name"\?/);
  });

  test('in what should be a URL and is none', () => {
    assert.equal(ofUpstream({ http: { url: 'crm.example.com' } }), 'upstreams.crm.http.url: Invalid URL');
    assert.match(ofAudit({ witness: { url: 'foo', key: 'bar' } }), /^audit\.witness\.url: Invalid URL\n/);
    assert.match(ofAudit({ sinks: [{ kind: 'otlp', name: 'a', url: 'foo' }] }), /^audit\.sinks\.0\.url: Invalid URL$/);
    const bucket = { kind: 's3', name: 'a', bucket: 'bucket', region: 'r', retentionDays: 1, endpoint: 'foo' };
    assert.match(ofAudit({ sinks: [bucket] }), /^audit\.sinks\.0\.endpoint: Invalid URL$/);
  });
});

test('a file that is not there, cannot be read or is no YAML: each is said as what it is', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-configuration-'));
  const file = (name: string) => join(folder, name);
  assert.match(
    said(() => readConfiguration(file('none.yaml'))),
    /none\.yaml does not exist; gatewrit init writes one$/,
  );
  mkdirSync(file('folder.yaml'));
  assert.match(
    said(() => readConfiguration(file('folder.yaml'))),
    /folder\.yaml cannot be read: EISDIR/,
  );
  writeFileSync(file('twice.yaml'), 'listen: {}\nlisten: {}\n');
  assert.match(
    said(() => readConfiguration(file('twice.yaml'))),
    /is not valid YAML: .* at line 2, column 1$/,
  );
});
