import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import type { Principal } from '../../core/call.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import { openAuthentication } from './authentication.ts';
import { type AuthenticationSettings, authenticationSettings } from './settings.ts';
import { b64, bearer, callWith, jwks, makeKey, START, seconds, signatureOf } from './token-kit.test.ts';

/**
 * Tokens as vendors make them, judged with the settings that the guide tells people to use. Data only: a new shape is a
 * new document in token-shapes/, a new vendor also a block in the guide.
 */
interface Shape {
  readonly name: string;
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly text?: string;
  readonly principal?: Pick<Principal, 'subject' | 'client' | 'tenant' | 'scopes' | 'groups'>;
  readonly refused?: string;
}

const here = import.meta.dirname;
const RESOURCE = 'https://mcp.example.com/mcp';
const guide = readFileSync(join(here, '../../../docs/guides/issuers.md'), 'utf8');
const home = mkdtempSync(join(tmpdir(), 'authentication-shapes-'));
after(() => rmSync(home, { recursive: true }));

const blocks = [...guide.matchAll(/```yaml\n(authentication:\n[\s\S]*?)```/g)].map(([, text]) =>
  readSection('authentication', authenticationSettings, parse(text!).authentication),
);
const rsa = makeKey('RS256', '');
const elsewhere = makeKey('RS256', '');

/** All issuers of the guide in one gateway, each with a key of its own. */
async function open(issuers: AuthenticationSettings['issuers'], keyOf: (issuer: string) => typeof rsa) {
  const settings = readSection('authentication', authenticationSettings, {
    issuers: issuers.map((issuer, index) => {
      writeFileSync(join(home, `${index}.jwks`), jwks(named(keyOf(issuer.issuer), issuer.issuer)));
      return { ...issuer, jwks: `file:${index}.jwks` };
    }),
  });
  return openAuthentication({ settings, home });
}

const TIMES = ['iat', 'nbf', 'exp', 'auth_time'];

/** Header and claims as they stand, times from now on, signed with our key in the vendor's place. */
function tokenOf({ header, claims, text }: Shape): string {
  if (text !== undefined) return text;
  const timed = Object.entries(claims!).map(([name, value]) => [
    name,
    TIMES.includes(name) ? seconds + Number(value) : value,
  ]);
  const input = `${b64(header)}.${b64(Object.fromEntries(timed))}`;
  return `${input}.${signatureOf('RS256', rsa.privateKey, input)}`;
}

const presenting = (shape: Shape) => callWith(bearer(tokenOf(shape)), { resource: RESOURCE });

const folder = join(here, 'token-shapes');
const vendors = readdirSync(folder).map((file) => ({
  vendor: basename(file, '.yaml'),
  shapes: parse(readFileSync(join(folder, file), 'utf8'), { merge: true }).tokens as Shape[],
}));

/** The key under the id the issuer's tokens name. */
function named(key: typeof rsa, issuer: string): typeof rsa {
  const { header } = vendors.flatMap(({ shapes }) => shapes).find(({ claims }) => claims?.['iss'] === issuer)!;
  return { ...key, jwk: { ...key.jwk, kid: header!['kid'] } };
}

for (const { vendor, shapes } of vendors) {
  const issuer = shapes.find(({ principal }) => principal)!.claims!['iss'];
  const block = blocks.find(({ issuers }) => issuers[0]!.issuer === issuer);

  for (const shape of shapes)
    test(`${vendor}: ${shape.name}: ${shape.refused === undefined ? 'is let in' : 'is refused'}`, async () => {
      assert.ok(block, `docs/guides/issuers.md has no block for ${String(issuer)}`);
      const { stage, close } = await open(block.issuers, () => rsa);
      const left = await stage.run(presenting(shape), START);
      if (left instanceof Refusal) assert.equal(left.code, shape.refused, String(left.facts.evidence));
      else {
        const { subject, client, tenant, scopes, groups } = left as Principal;
        assert.deepEqual({ subject, client, tenant, scopes, groups }, shape.principal);
      }
      await close();
    });
}

test('with all of them in one gateway each is still itself, and a key of one signs for no other', async () => {
  const issuers = blocks.flatMap((block) => block.issuers);
  assert.equal(issuers.length, vendors.length);
  const good = vendors.flatMap(({ shapes }) => shapes.filter(({ principal }) => principal));
  for (const { issuer } of issuers) {
    const { stage, close } = await open(issuers, (of) => (of === issuer ? rsa : elsewhere));
    for (const shape of good) {
      const left = await stage.run(presenting(shape), START);
      if (shape.claims!['iss'] === issuer) assert.equal((left as Principal).subject, shape.principal!.subject);
      else assert.equal((left as Refusal).code, 'authentication.invalid', `${issuer} signed for ${shape.name}`);
    }
    await close();
  }
});

test('what a vendor fills in, no other vendor’s settings take for it: one block at a time lets in its own tokens only', async () => {
  for (const block of blocks) {
    const { stage, close } = await open(block.issuers, () => rsa);
    for (const shape of vendors.flatMap(({ shapes }) => shapes)) {
      if (shape.claims?.['iss'] === block.issuers[0]!.issuer) continue;
      const left = await stage.run(presenting(shape), START);
      assert.ok(left instanceof Refusal, shape.name);
    }
    await close();
  }
});

test('the guide names an https key address for each issuer, and only algorithms that vendor signs with', () => {
  for (const { issuers } of blocks)
    for (const { jwks: keys, algorithms } of issuers) {
      assert.match(keys, /^https:\/\//);
      assert.deepEqual(algorithms, ['RS256']);
    }
});
