import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OAuthFault } from './fault.ts';
import { judgeResourceMetadata, resourceMetadataUrls } from './resource-metadata.ts';
import { scopesToRequest } from './scopes.ts';
import { judgeServerMetadata, serverMetadataUrls, supportsPkce } from './server-metadata.ts';

const ENDPOINT = 'https://shop.example/a/mcp';
const code = (value: unknown) => (value instanceof OAuthFault ? value.code : 'good');

describe('protected-resource metadata', () => {
  test('is looked for where the challenge says, and nowhere else; else under the path, then at the root', () => {
    assert.deepEqual(resourceMetadataUrls(ENDPOINT, 'https://x/y'), ['https://x/y']);
    assert.deepEqual(resourceMetadataUrls(ENDPOINT, null), [
      'https://shop.example/.well-known/oauth-protected-resource/a/mcp',
      'https://shop.example/.well-known/oauth-protected-resource',
    ]);
    assert.deepEqual(resourceMetadataUrls('https://shop.example/', null), [
      'https://shop.example/.well-known/oauth-protected-resource',
    ]);
  });

  const judged = (resource: unknown, servers: unknown = ['https://as.example']) =>
    code(judgeResourceMetadata({ resource, authorization_servers: servers }, ENDPOINT));

  test('is believed of this endpoint and of what lies above it, never of another resource', () => {
    for (const good of [ENDPOINT, 'https://shop.example/a', 'https://shop.example/a/', 'https://shop.example'])
      assert.equal(judged(good), 'good', good);
    for (const bad of [
      'https://evil.example/a/mcp',
      'http://shop.example/a/mcp',
      'https://shop.example:444/a/mcp',
      'https://shop.example/a/mcp/more',
      'https://shop.example/a/mc',
      'https://shop.example/b',
      'https://shop.example/a/mcp?x=1',
      'https://shop.example/a/mcp#x',
      'https://u:p@shop.example/a/mcp',
      'shop.example',
      7,
      undefined,
    ])
      assert.equal(judged(bad), 'resource_mismatch', String(bad));
  });

  test('names an authorization server, as URLs', () => {
    for (const bad of [null, [], 'https://as.example', [7], ['no url'], new Array(17).fill('https://as.example')])
      assert.equal(judged(ENDPOINT, bad), 'metadata', String(bad));
    for (const bad of [null, [], 'x']) assert.equal(code(judgeResourceMetadata(bad, ENDPOINT)), 'metadata');
  });

  test('its resource stays as it was published, with or without a slash', () => {
    for (const resource of ['https://shop.example', 'https://shop.example/']) {
      const read = judgeResourceMetadata({ resource, authorization_servers: ['https://as.example'] }, ENDPOINT);
      assert.equal(read instanceof OAuthFault ? null : read.resource, resource);
    }
  });
});

describe('authorization-server metadata', () => {
  test('is looked for in three places with a path, in two without', () => {
    assert.deepEqual(serverMetadataUrls('https://as.example/t1/'), [
      'https://as.example/.well-known/oauth-authorization-server/t1',
      'https://as.example/.well-known/openid-configuration/t1',
      'https://as.example/t1/.well-known/openid-configuration',
    ]);
    assert.deepEqual(serverMetadataUrls('https://as.example'), [
      'https://as.example/.well-known/oauth-authorization-server',
      'https://as.example/.well-known/openid-configuration',
    ]);
  });

  test('names the very issuer it was asked for, character by character', () => {
    const issuer = 'https://as.example/t1';
    assert.equal(code(judgeServerMetadata({ issuer }, issuer)), 'good');
    for (const other of ['https://as.example/t1/', 'https://AS.example/t1', 'https://as.example:443/t1', undefined])
      assert.equal(code(judgeServerMetadata({ issuer: other }, issuer)), 'issuer_mismatch', String(other));
  });

  test('endpoints are URLs and lists are lists of words', () => {
    const issuer = 'https://as.example';
    for (const bad of [{ token_endpoint: 7 }, { authorization_endpoint: 'x y' }, { scopes_supported: 'a b' }])
      assert.equal(code(judgeServerMetadata({ issuer, ...bad }, issuer)), 'metadata', JSON.stringify(bad));
  });

  test('PKCE counts only when it is said', () => {
    assert.equal(supportsPkce({ issuer: 'i' }), false);
    assert.equal(supportsPkce({ issuer: 'i', code_challenge_methods_supported: ['plain'] }), false);
    assert.equal(supportsPkce({ issuer: 'i', code_challenge_methods_supported: ['plain', 'S256'] }), true);
  });
});

describe('scopes', () => {
  const none = { configured: null, challenged: null, published: null, before: [] };
  test('the challenge comes before what is published; nothing is asked for where nothing is named', () => {
    assert.deepEqual(scopesToRequest({ ...none, challenged: ['a'], published: ['b'] }), ['a']);
    assert.deepEqual(scopesToRequest({ ...none, published: ['b'] }), ['b']);
    assert.deepEqual(scopesToRequest(none), []);
  });
  test('what was asked for before is asked for again, published scopes do not come on top of it', () => {
    assert.deepEqual(scopesToRequest({ ...none, challenged: ['b'], before: ['a'] }), ['a', 'b']);
    assert.deepEqual(scopesToRequest({ ...none, published: ['b'], before: ['a'] }), ['a']);
  });
  test('an operator’s list is what is asked for, and no upstream can lift it', () => {
    const configured = ['a', 'b'];
    assert.deepEqual(scopesToRequest({ ...none, configured, challenged: ['b'] }), ['a', 'b']);
    assert.equal(code(scopesToRequest({ ...none, configured, challenged: ['admin'] })), 'scope');
  });
  test('they do not grow for ever', () => {
    const before = Array.from({ length: 64 }, (_, i) => `s${i}`);
    assert.equal(code(scopesToRequest({ ...none, before, challenged: ['one more'] })), 'scope');
  });
});
