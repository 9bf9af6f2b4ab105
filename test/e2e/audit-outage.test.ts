import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import type { Answer } from '../../examples/quickstart/tour/gateway.ts';
import { Quickstart, READ } from './quickstart.ts';
import { endings, recordsOf } from './recorded.ts';

/** npm test sends 1,500; `GATEWRIT_FLOOD=100000` is the full count (test/long/audit-flood.test.ts). */
const FLOOD = Number(process.env['GATEWRIT_FLOOD'] ?? 1_500);
const AT_ONCE = 16;
/** Of a refusal's record, generously. */
const RECORD_BYTES = 1_200;

const noProc = process.platform !== 'linux' || spawnSync('prlimit', ['--version']).status !== 0;
if (noProc) process.stdout.write('\n!!! no prlimit: a gateway without descriptors is NOT SHOWN.\n\n');

describe('a log under pressure', () => {
  let quickstart: Quickstart;
  let token: string;

  before(async () => {
    // Small segments: the log needs a new file, and with it a descriptor, every dozen calls or so.
    quickstart = await Quickstart.start({ settings: { audit: { segmentBytes: 64 * 1024, checkpointMs: 100 } } });
    token = await quickstart.token('alice', READ);
  });
  after(() => quickstart?.close());

  const call = (jql: string) => quickstart.gateway.call('readonly__jira_search', { jql }, token);
  const refusal = (answer: Answer) => answer.json.error?.message ?? JSON.stringify(answer.json.result ?? {});
  const isServed = (answer: Answer) => answer.status === 200 && answer.json.result?.['isError'] !== true;
  const segmentBytes = () =>
    globSync(join(quickstart.gateway.home, 'audit/*/segments/*.seg')).reduce(
      (sum, path) => sum + statSync(path).size,
      0,
    );

  test(`${FLOOD} requests of strangers cannot fill the log, and a known caller is served meanwhile`, async () => {
    const { gateway } = quickstart;
    await call('before');
    const before = segmentBytes();
    const started = performance.now();
    const statuses = new Map<number, number>();
    let sent = 0;
    const stranger = async () => {
      while (sent++ < FLOOD) {
        const { status } = await gateway.call('readonly__jira_search', { jql: 'x' }, null);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    let served = 0;
    const known = async () => {
      while (sent < FLOOD) {
        const answer = await call('whiteboard');
        assert.ok(isServed(answer), refusal(answer));
        served++;
        await sleep(50);
      }
    };
    await Promise.all([known(), ...Array.from({ length: AT_ONCE }, stranger)]);
    const minutes = Math.ceil((performance.now() - started) / 60_000) + 1;
    assert.ok(![...statuses.keys()].some((status) => status < 400), JSON.stringify([...statuses]));
    assert.ok(served > 3);
    // Settings: 120 refusals in a minute are recorded one by one, the rest is one record with a count.
    const bound = minutes * 121 * RECORD_BYTES + (served + 1) * 2 * 4_096;
    assert.ok(segmentBytes() - before < bound, `${segmentBytes() - before} bytes, ${bound} allowed`);
  });

  test('without a descriptor calls are refused until there is one again; nothing is half written', {
    skip: noProc,
  }, async () => {
    const { pid } = quickstart.gateway.ready;
    const { agent: usual } = quickstart.gateway;
    const kept = new Agent({ connections: 1, connect: { ca: readFileSync(quickstart.gateway.ready.ca, 'utf8') } });
    Object.assign(quickstart.gateway, { agent: kept });
    await call('one connection that is kept');
    const open = readdirSync(`/proc/${pid}/fd`).length;
    const limit = (soft: number) => execFileSync('prlimit', ['-p', String(pid), `--nofile=${soft}:`]);
    const sockets: Socket[] = [];
    try {
      limit(open + 12);
      // Strangers take what is left.
      const { port } = new URL(quickstart.gateway.ready.mcp);
      for (let i = 0; i < 40; i++) sockets.push(connect(Number(port), '127.0.0.1').on('error', () => {}));
      await sleep(200);
      let unavailable = 0;
      for (let i = 0; i < 300 && unavailable < 10; i++) {
        const answer = await call(`while nothing is left ${'x'.repeat(500)}`);
        if (isServed(answer)) continue;
        assert.match(answer.text, /"code":"(AUDIT_UNAVAILABLE|OUTCOME_UNKNOWN)"/);
        if (answer.text.includes('AUDIT_UNAVAILABLE')) unavailable++;
      }
      assert.equal(unavailable, 10);
    } finally {
      for (const socket of sockets) socket.destroy();
      Object.assign(quickstart.gateway, { agent: usual });
      await kept.destroy();
      limit(1_024);
    }
    for (let tries = 0; !isServed(await call('again')); tries++) {
      assert.ok(tries < 100, 'it does not come back by itself');
      await sleep(50);
    }
  });

  test('afterwards the log verifies, says when it was closed and why, and every stranger is in it, one by one or counted', async () => {
    await quickstart.stop();
    const { home } = quickstart.gateway;
    const { code, stdout } = await quickstart.gateway.run('audit', 'verify', join(home, 'audit'));
    assert.equal(code, 0, stdout);
    const records = await recordsOf(home);
    let strangers = 0;
    for (const [ending, count] of endings(records)) if (/^(authentication|limits)\./.test(ending)) strangers += count;
    assert.equal(strangers, FLOOD);
    if (noProc) return;
    const reasons = records.filter(({ envelope }) => envelope.kind === 'full').map(({ meta }) => meta?.['reason']);
    assert.deepEqual(new Set(reasons), new Set(['no file descriptor is left; refusing']));
  });
});
