import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayProcess } from '../../examples/quickstart/tour/gateway.ts';
import { mintDevelopmentToken } from '../../src/controls/authentication/index.ts';
import { Quickstart, READ } from '../e2e/quickstart.ts';
import { recordsOf } from '../e2e/recorded.ts';
import { randomOf } from './audit-writing.ts';
import { keepEvidence } from './evidence.ts';

const ROUNDS = Number(process.env['GATEWRIT_LONG_ROUNDS'] ?? 20);
const CLIENTS = 8;
const seed = Number(process.env['GATEWRIT_LONG_SEED'] ?? Date.now() % 1_000_000_007);

test(`${ROUNDS} times kill -9 of a gateway under calls: every answered call has its intent and its outcome`, async () => {
  process.stdout.write(`audit-kill-gateway: seed ${seed}\n`);
  const random = randomOf(seed);
  const first = await Quickstart.start({ settings: { audit: { checkpointMs: 50, segmentBytes: 256 * 1024 } } });
  const { home } = first.gateway;
  const config = join(home, 'gatewrit.yaml');
  const answered = new Set<string>();
  let made = 0;
  let worstStartMs = 0;
  let gateway: GatewayProcess = first.gateway;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const { issuer, mcp } = gateway.ready;
      const token = await mintDevelopmentToken({ home, issuer, audience: mcp, subject: 'alice', scopes: READ });
      let killed = false;
      const client = async () => {
        while (!killed) {
          const jql = `call ${made++} end`;
          try {
            const answer = await gateway.call('readonly__jira_search', { jql }, token);
            if (answer.status === 200) answered.add(jql);
          } catch {
            // Cut off: nobody was told anything.
            return;
          }
        }
      };
      const clients = Array.from({ length: CLIENTS }, client);
      await sleep(200 + random() * 1_500);
      const stopped = gateway.stop('SIGKILL');
      killed = true;
      await stopped;
      await Promise.all(clients);
      const started = performance.now();
      gateway = await GatewayProcess.start({ home, config });
      worstStartMs = Math.max(worstStartMs, Math.round(performance.now() - started));
    }
    assert.equal((await gateway.rpc('tools/list', {}, null)).status, 401, 'it serves');
    assert.equal(await gateway.stop(), 0);
    const { code, stdout } = await gateway.run('audit', 'verify', join(home, 'audit'));
    assert.equal(code, 0, stdout);
    const records = await recordsOf(home);
    const ended = new Set<string>();
    for (const { envelope, origin } of records)
      if (envelope.kind === 'outcome') for (const ref of envelope.refs) ended.add(`${origin} ${ref}`);
    const recorded = new Set<string>();
    for (const { envelope, origin, leaf, payload } of records) {
      if (envelope.kind !== 'intent' || !ended.has(`${origin} ${leaf}`)) continue;
      const said = [...(payload?.values() ?? [])].map(String).join();
      const [jql] = /call [0-9]+ end/.exec(said) ?? [];
      if (jql) recorded.add(jql);
    }
    const lost = [...answered].filter((jql) => !recorded.has(jql));
    const figures = { seed, rounds: ROUNDS, calls: made, answered: answered.size, lost: lost.length, worstStartMs };
    process.stdout.write(`audit-kill-gateway: ${JSON.stringify(figures)}\n`);
    assert.deepEqual(lost, []);
    assert.ok(answered.size > ROUNDS * CLIENTS);
    keepEvidence('audit-kill-gateway', 'kill -9 of a gateway under calls: every answered call is recorded', figures);
  } finally {
    await gateway.stop();
    await first.close();
  }
});
