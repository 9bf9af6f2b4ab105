import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { signBundled } from './bundled.ts';
import { loadManifests } from './load.ts';
import { sampleManifest } from './samples.test.ts';

const bundled = join(import.meta.dirname, '../../../examples/quickstart/manifests');

function emptyHome() {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-bundled-'));
  return { home, keys: { folder: join(home, 'keys'), generate: true } };
}
const load = (home: string) =>
  loadManifests(
    {
      ...{ home, keys: { folder: join(home, 'keys'), generate: false }, settings: { trust: [] } },
      ...{ schemas: { accept: () => null }, scopes: { accepts: () => null } },
    },
    Date.now(),
  );

test('the first start signs every bundled manifest, and all of them load without a problem', async () => {
  const { home, keys } = emptyHome();
  const outcome = await signBundled({ folder: bundled, home, keys });
  assert.deepEqual(outcome.changed, []);
  assert.deepEqual(
    outcome.signed.toSorted(),
    readdirSync(bundled)
      .map((file) => file.replace('.json', ''))
      .toSorted(),
  );
  const { servers, problems } = await load(home);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    servers.map((entry) => entry.server),
    outcome.signed.toSorted(),
  );
  assert.equal(statSync(join(home, 'registry', 'everything.jws')).mode & 0o077, 0);
});

test('a later start signs nothing: what an operator replaced or removed stays so', async () => {
  const { home, keys } = emptyHome();
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-bundle-'));
  cpSync(bundled, folder, { recursive: true });
  writeFileSync(join(folder, 'demo.json'), JSON.stringify(sampleManifest()));
  await signBundled({ folder, home, keys });
  const pin = readFileSync(join(home, 'registry', 'demo.jws'), 'utf8');
  rmSync(join(home, 'registry', 'everything.jws'));
  writeFileSync(join(folder, 'demo.json'), JSON.stringify(sampleManifest({ version: '2' })));
  writeFileSync(
    join(folder, 'fresh.json'),
    JSON.stringify(
      sampleManifest({ server: 'fresh', prefix: 'fresh', tools: [], prompts: [], resources: [], templates: [] }),
    ),
  );
  assert.deepEqual(await signBundled({ folder, home, keys }), { signed: ['fresh'], changed: ['demo'] });
  assert.equal(readFileSync(join(home, 'registry', 'demo.jws'), 'utf8'), pin);
  assert.ok(!readdirSync(join(home, 'registry')).includes('everything.jws'));
});

test('a bundled file that is no manifest, or a damaged memory, stops the start with a sentence', async () => {
  const { home, keys } = emptyHome();
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-bundle-'));
  writeFileSync(join(folder, 'demo.json'), '{"format":1}');
  await assert.rejects(signBundled({ folder, home, keys }), { code: 'registry.bundled_manifest' });
  writeFileSync(join(home, 'registry', 'bundled.json'), '{');
  await assert.rejects(signBundled({ folder, home, keys }), { code: 'settings.invalid' });
  writeFileSync(join(home, 'registry', 'bundled.json'), '{"format":2}');
  await assert.rejects(signBundled({ folder, home, keys }), /newer/);
});
