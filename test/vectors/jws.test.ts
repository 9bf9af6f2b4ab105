import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCompact, signatureHolds } from '../../src/controls/authentication/compact.ts';
import { authenticationSettings, openAuthentication } from '../../src/controls/authentication/index.ts';
import { readKeySet } from '../../src/controls/authentication/key-set.ts';
import { ALGORITHMS } from '../../src/controls/authentication/settings.ts';
import { bearer, callWith, ISSUER, START } from '../../src/controls/authentication/token-kit.test.ts';
import { Refusal } from '../../src/core/stage.ts';

const folder = process.env['GATEWRIT_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors');
const path = join(folder, 'jws-rsa.json');
const absent = existsSync(path)
  ? false
  : `NO VECTORS: ${path} is absent, JWS vectors are NOT tested (set GATEWRIT_VECTORS)`;
if (absent) console.error(absent);

interface Case {
  readonly tcId: number;
  readonly comment: string;
  readonly jws: string;
  readonly result: 'valid' | 'invalid';
}
interface Group {
  readonly comment: string;
  readonly public: Record<string, unknown>;
  readonly tests: readonly Case[];
}
const groups: readonly Group[] = absent ? [] : JSON.parse(readFileSync(path, 'utf8')).testGroups;

/** Valid cases we refuse all the same, and why refusing is right. */
function listedException(group: Group, jws: string): string | null {
  const header = JSON.parse(Buffer.from(jws.split('.')[0]!, 'base64url').toString()) as { alg: string };
  if (!(ALGORITHMS as readonly string[]).includes(header.alg)) return 'algorithm not offered';
  if (group.public['alg'] !== undefined && group.public['alg'] !== header.alg) return 'key and token disagree on alg';
  return null;
}

async function verify(group: Group, jws: string): Promise<boolean> {
  const token = readCompact(jws);
  if (typeof token === 'string') return false;
  const set = await readKeySet(Buffer.from(JSON.stringify({ keys: [group.public] })), ALGORITHMS);
  return signatureHolds(token, set.find(token.alg, token.kid));
}

test('JWS vectors: every invalid signature is refused, every valid one taken but for listed exceptions', {
  skip: absent,
}, async () => {
  const exceptions: Record<string, number> = {};
  let cases = 0;
  for (const group of groups) {
    for (const { tcId, comment, jws, result } of group.tests) {
      cases++;
      const taken = await verify(group, jws);
      const name = `${group.comment} ${tcId} ${comment}`;
      if (result === 'invalid') assert.equal(taken, false, `taken: ${name}`);
      else if (!taken) {
        const why = listedException(group, jws);
        assert.ok(why, `refused without a listed reason: ${name}`);
        exceptions[why] = (exceptions[why] ?? 0) + 1;
      }
    }
  }
  console.log(`${cases} JWS vectors; valid ones refused on purpose: ${JSON.stringify(exceptions)}`);
  assert.ok(cases >= 100);
});

test('JWS vectors as bearer tokens are all 401', { skip: absent }, async () => {
  const home = mkdtempSync(join(tmpdir(), 'jws-vectors-'));
  try {
    for (const group of groups) {
      const keys = Buffer.from(JSON.stringify({ keys: [group.public] }));
      if ((await readKeySet(keys, ALGORITHMS)).size === 0) continue;
      writeFileSync(join(home, 'k.jwks'), keys);
      const settings = authenticationSettings.parse({
        issuers: [{ issuer: ISSUER, jwks: 'file:k.jwks', typ: ['at+jwt', 'JWT', 'absent'] }],
      });
      const { stage, close } = await openAuthentication({ settings, home });
      for (const { jws, tcId } of group.tests) {
        const left = await stage.run(callWith(bearer(jws)), START);
        assert.ok(left instanceof Refusal && left.code === 'authentication.invalid', `case ${tcId}`);
      }
      await close();
    }
  } finally {
    rmSync(home, { recursive: true });
  }
});
