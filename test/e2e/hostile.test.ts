import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { APPROVE, Quickstart, READ, WRITE } from './quickstart.ts';
import { RawConnection } from './raw-http.ts';
import { recordsOf } from './recorded.ts';

describe('a gateway among hostile servers and clients that leave', () => {
  let quickstart: Quickstart;
  before(async () => {
    // No look at the servers but those that something brings about.
    quickstart = await Quickstart.start({ settings: { registry: { observeEverySeconds: 3_600 } } });
  });
  after(() => quickstart?.close());

  test('a tool that changes while nobody calls is withheld before the next call', async () => {
    const token = await quickstart.token('bob', READ);
    const query = () => quickstart.gateway.call('readonly__postgres_query', { sql: 'SELECT 1' }, token);
    assert.ok((await query()).json.result);
    writeFileSync(quickstart.change, '');
    // No call in between: one under way would have heard the notice.
    await pause(1_000);
    const answer = await query();
    assert.equal(answer.json.error?.code, -32602, answer.text);
    const other = await quickstart.gateway.call('readonly__s3_list', { prefix: '' }, token);
    assert.ok(other.json.result, `what did not change is served on: ${other.text}`);
  });

  test('an approval given by somebody who left at once is recorded as given, never as cancelled', async () => {
    const { admin, ca } = quickstart.gateway.ready;
    const bob = await quickstart.token('bob', WRITE);
    const token = await quickstart.token('approver1', APPROVE, { audience: `${admin}/api`, groups: ['approvers'] });
    for (let i = 0; i < 12; i++) {
      const asked = await quickstart.gateway.call('destructive__jira_create', { title: `left ${i}` }, bob);
      const meta = asked.json.result!['_meta'] as Record<string, { id: string }>;
      const { id } = meta['gatewrit/approval']!;
      const connection = await RawConnection.open({ url: admin, ca });
      const head = `POST /api/approvals/${id}/approve HTTP/1.1\r\nHost: ${new URL(admin).host}\r\n`;
      connection.send(`${head}Authorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`);
      await pause(1 + i);
      connection.destroy();
    }
    await pause(300);
    const records = await recordsOf(quickstart.gateway.home);
    const given = records.filter(({ meta }) => meta?.['event'] === 'approval.approved').length;
    const calls = records.filter(
      ({ envelope, meta }) =>
        envelope.kind === 'outcome' && String(meta?.['target']).endsWith('approve') && meta?.['code'] === undefined,
    );
    assert.ok(given > 0, 'at least the last ones were in time');
    assert.equal(calls.length, given);
  });

  test('an orderly end under load answers what it took, records it whole and exits 0', async () => {
    const token = await quickstart.token('bob', READ);
    const { gateway } = quickstart;
    let answered = 0;
    const before = (await recordsOf(gateway.home)).length;
    const callers = Array.from({ length: 6 }, async () => {
      for (;;) {
        try {
          const { json } = await gateway.call('readonly__s3_list', { prefix: '' }, token);
          assert.ok(json.result);
          answered++;
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          return;
        }
      }
    });
    // Under load: each of them is in the middle of another call.
    for (let looks = 0; answered < 20 && looks < 2_000; looks++) await pause(10);
    const begun = Date.now();
    process.kill(gateway.ready.pid, 'SIGTERM');
    await Promise.all(callers);
    while (isAlive(gateway.ready.pid)) await pause(10);
    assert.equal(await gateway.stop(), 0);
    assert.ok(Date.now() - begun < 4_000, `it took ${Date.now() - begun} ms`);
    const records = (await recordsOf(gateway.home)).slice(before);
    const outcomes = records.filter(({ envelope }) => envelope.kind === 'outcome');
    assert.ok(outcomes.every(({ meta }) => meta?.['code'] === undefined));
    assert.equal(outcomes.length, answered, 'what ran was answered');
    const intents = records.filter(({ envelope }) => envelope.kind === 'intent');
    const ended = new Set(outcomes.map(({ meta }) => meta?.['intent']));
    assert.ok(
      intents.every(({ envelope }) => ended.has(envelope.id)),
      'an intent without an outcome',
    );
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a development gateway is not put before strangers by a public name either', async () => {
  const start = Quickstart.start({ settings: { listen: { url: 'https://mcp.example.com' } } });
  await assert.rejects(start, /development is on.*loopback.*mcp\.example\.com/s);
});
