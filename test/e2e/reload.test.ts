import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Quickstart, READ } from './quickstart.ts';
import { recordsOf } from './recorded.ts';

/** What an operator changes on the disk holds for a gateway that runs; what is wrong changes nothing. */
let quickstart: Quickstart;
let alice: string;
before(async () => {
  quickstart = await Quickstart.start();
  alice = await quickstart.token('alice', READ);
});
after(() => quickstart?.close());

const NO_SEARCH = `@id("no-search")
forbid (principal, action == Action::"call_tool", resource == Target::"internal-readonly/jira_search");
`;
const PATIENCE_MS = 15_000;

const search = async () => {
  const { text } = await quickstart.gateway.call('readonly__jira_search', { jql: 'whiteboard' }, alice);
  return text;
};

/** Asks until the answer is another kind than before. */
async function untilSearch(matches: RegExp): Promise<void> {
  const giveUp = performance.now() + PATIENCE_MS;
  let last = '';
  while (performance.now() < giveUp) {
    last = await search();
    if (matches.test(last)) return;
    await sleep(200);
  }
  assert.match(last, matches);
}

test('a policy file that is added, broken, mended and taken away while calls go on', async () => {
  const file = join(quickstart.gateway.home, 'policy', '50-no-search.cedar');
  await untilSearch(/issues/);
  writeFileSync(file, NO_SEARCH, { mode: 0o600 });
  await untilSearch(/Unknown tool/);
  writeFileSync(file, 'forbid (principal, nonsense');
  // Two looks and the reading between them.
  await sleep(3_500);
  assert.match(await search(), /Unknown tool/, 'the old policy stays whole');
  rmSync(file);
  await untilSearch(/issues/);
});

test('a manifest that is taken away and comes back', async () => {
  const file = join(quickstart.gateway.home, 'registry', 'internal-readonly.jws');
  renameSync(file, `${file}.away`);
  await untilSearch(/Unknown tool/);
  renameSync(`${file}.away`, file);
  await untilSearch(/issues/);
});

test('each change that was taken over is in the log', async () => {
  await quickstart.stop();
  const settings = (await recordsOf(quickstart.gateway.home)).filter(({ envelope }) => envelope.kind === 'settings');
  const seen = settings.map(({ meta }) => `${meta?.['event']} ${meta?.['what']}`);
  assert.deepEqual(seen, ['reloaded policy', 'reloaded policy', 'reloaded manifests', 'reloaded manifests']);
  const versions = settings.map(({ meta }) => String(meta?.['version']));
  assert.ok(versions.every((version) => version.length > 0));
  assert.notEqual(versions[0], versions[1]);
});
