import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SettingsError } from '../../core/internal-error.ts';
import {
  challengeFor,
  insufficientScopeChallenge,
  protectedResourceMetadataPath,
  protectedResourceMetadataUrl,
} from '../../core/mcp/challenge.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import { openAuthentication } from './authentication.ts';
import { checkListeners, isLoopback, weaknesses } from './listeners.ts';
import { metadataPaths, resourceMetadata } from './metadata.ts';
import { authenticationSettings } from './settings.ts';
import { ISSUER, jwks, makeKey } from './token-kit.test.ts';

const home = mkdtempSync(join(tmpdir(), 'authentication-settings-'));
after(() => rmSync(home, { recursive: true }));
writeFileSync(join(home, 'k.jwks'), jwks(makeKey('ES256', 'k')));
const one = { issuer: ISSUER, jwks: 'file:k.jwks' };
const read = (raw: unknown) => readSection('authentication', authenticationSettings, raw);
const open = async (raw: unknown) => openAuthentication({ settings: read(raw), home });

test('the start is refused with one sentence when nobody or anybody could get in', async () => {
  const cases: [unknown, RegExp][] = [
    [{}, /issuers is empty/],
    [{ issuers: [] }, /issuers is empty/],
    [{ driver: 'none' }, /authentication\.driver/],
    [{ isuers: [one] }, /did you mean "issuers"/],
    [{ issuers: [{ ...one, algorithms: ['HS256'] }] }, /algorithms/],
    [{ issuers: [{ ...one, algorithms: [] }] }, /algorithms/],
    [{ issuers: [{ ...one, issuer: 'http://issuer.example' }] }, /must be an https URL/],
    [{ issuers: [{ ...one, issuer: 'ftp://issuer.example' }] }, /must be an https URL/],
    [{ issuers: [{ ...one, jwks: 'http://issuer.example/jwks' }] }, /must be an https URL/],
    [{ issuers: [{ ...one, jwks: 'http://127.0.0.1/jwks' }] }, /must be an https URL/],
    [{ issuers: [{ ...one, jwks: 'data:x' }] }, /file:PATH or an https URL/],
    [{ issuers: [{ ...one, jwks: 'file:missing.jwks' }] }, /not a readable JWK Set/],
    [{ issuers: [one, one] }, /configured twice/],
    [{ issuers: [{ ...one, claims: { subject: '/' } }] }, /JSON Pointer/],
    [{ issuers: [{ ...one, claims: { groups: ['groups', '/a/'] } }] }, /claims\.groups/],
    [{ issuers: [{ ...one, claims: { groups: [] } }] }, /claims\.groups/],
    [{ issuers: [{ ...one, claims: { client: ['/a~2'] } }] }, /JSON Pointer/],
    [{ issuers: [{ ...one, tenant: 'a', claims: { tenant: 'tid' } }] }, /not both/],
    [{ issuers: [{ ...one, tenant: 'system' }] }, /reserved/],
    [{ development: true, issuers: [one, { ...one, issuer: 'https://b.example' }] }, /no second issuer/],
  ];
  for (const [raw, sentence] of cases) {
    await assert.rejects(open(raw), (error: unknown) => {
      assert.ok(error instanceof SettingsError, JSON.stringify(raw));
      assert.match(error.message, sentence);
      return true;
    });
  }
});

test('a key file others may write is refused', async () => {
  const path = join(home, 'open.jwks');
  writeFileSync(path, jwks(makeKey('ES256', 'k')));
  chmodSync(path, 0o666);
  await assert.rejects(open({ issuers: [{ ...one, jwks: `file:${path}` }] }), /chmod go-w/);
});

test('anonymous and development are refused on any listener beyond loopback and show as weak', () => {
  for (const settings of [read({ driver: 'anonymous' }), read({ development: true })]) {
    checkListeners(settings, ['127.0.0.1', '::1', 'localhost']);
    for (const host of [
      '0.0.0.0',
      '::',
      '',
      '10.0.0.1',
      'example.com',
      'localhost.example.com',
      '127.0.0.1.example.com',
    ]) {
      assert.throws(() => checkListeners(settings, ['127.0.0.1', host]), SettingsError, host);
    }
    assert.equal(weaknesses(settings).length, 1);
  }
  checkListeners(read({ issuers: [one] }), ['0.0.0.0']);
  assert.deepEqual(weaknesses(read({ issuers: [one] })), []);
  assert.ok(isLoopback('[::1]') && isLoopback('127.8.8.8') && !isLoopback('127.0.0.1.nip.io'));
});

test('the metadata document names the resource byte for byte and no scope unless asked to', () => {
  const settings = read({ issuers: [one] });
  for (const resource of [
    'https://localhost:8443/mcp',
    'https://mcp.example.com',
    'https://mcp.example.com/mcp/jira',
  ]) {
    assert.deepEqual(resourceMetadata(settings, resource), {
      resource,
      authorization_servers: [ISSUER],
      bearer_methods_supported: ['header'],
      resource_name: 'Gatewrit',
    });
  }
  const named = read({ issuers: [one], metadata: { scopesSupported: ['s3:list'] } });
  assert.deepEqual(resourceMetadata(named, 'https://a.example').scopes_supported, ['s3:list']);
  assert.throws(() => read({ metadata: { scopesSupported: ['offline_access'] } }), SettingsError);
});

test('documents are served at the path form of each resource and at the root for the default one', () => {
  assert.equal(protectedResourceMetadataPath('https://mcp.example.com'), '/.well-known/oauth-protected-resource');
  assert.equal(
    protectedResourceMetadataUrl('https://localhost:8443/mcp/jira'),
    'https://localhost:8443/.well-known/oauth-protected-resource/mcp/jira',
  );
  assert.deepEqual(
    [...metadataPaths(['https://h/mcp', 'https://h/mcp/jira'], 'https://h/mcp')],
    [
      ['/.well-known/oauth-protected-resource/mcp', 'https://h/mcp'],
      ['/.well-known/oauth-protected-resource/mcp/jira', 'https://h/mcp/jira'],
      ['/.well-known/oauth-protected-resource', 'https://h/mcp'],
    ],
  );
});

test('challenges: invalid_token only when a token was sent, all scopes in one 403, nothing can end a quoted string', () => {
  const resource = 'https://localhost:8443/mcp';
  const metadata = 'resource_metadata="https://localhost:8443/.well-known/oauth-protected-resource/mcp"';
  assert.equal(challengeFor(new Refusal('authentication.missing'), resource), `Bearer ${metadata}`);
  for (const code of ['invalid', 'expired', 'wrong_audience', 'unavailable'] as const) {
    assert.equal(
      challengeFor(new Refusal(`authentication.${code}`, { evidence: 'signature' }), resource),
      `Bearer error="invalid_token", ${metadata}`,
    );
  }
  assert.equal(
    challengeFor(new Refusal('authorization.insufficient_scope', { scopes: ['jira:read', 'jira:write'] }), resource),
    `Bearer error="insufficient_scope", scope="jira:read jira:write", ${metadata}`,
  );
  assert.equal(challengeFor(new Refusal('limits.exceeded'), resource), null);
  assert.equal(challengeFor(new Refusal('authentication.session'), resource), null);
  assert.doesNotMatch(insufficientScopeChallenge('https://h/x', ['a"b', 'c\r\nd', 'ok:1']), /a"b|\r|\n/);
  assert.throws(() => insufficientScopeChallenge('https://h/"', []), TypeError);
});

test('every key of the section is described', () => {
  const walk = (schema: Record<string, unknown>, path: string): void => {
    for (const [key, child] of Object.entries(
      (schema['properties'] ?? {}) as Record<string, Record<string, unknown>>,
    )) {
      assert.ok(typeof child['description'] === 'string', `${path}${key} has no description`);
      walk(child, `${path}${key}.`);
      walk((child['items'] ?? {}) as Record<string, unknown>, `${path}${key}[].`);
    }
  };
  walk(authenticationSettings.toJSONSchema({ io: 'input', unrepresentable: 'any' }) as Record<string, unknown>, '');
});
