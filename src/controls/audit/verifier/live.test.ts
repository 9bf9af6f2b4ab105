import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { folderSource, type LogSource } from './source.ts';
import { readVerifiers, verifyLog } from './verify-log.ts';

const CALLS = 400 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

/** The writer gets its turn before everything that is read: the log has moved on each time. */
function interleaved(source: LogSource, lists: boolean): LogSource {
  const after = async <T>(act: () => Promise<T>) => {
    await sleep(1);
    return act();
  };
  return {
    name: source.name,
    list: (path) => (lists ? after(() => source.list(path)) : Promise.resolve(null)),
    size: (path) => after(() => source.size(path)),
    read: (path, from, to) => after(() => source.read(path, from, to)),
    close: () => source.close?.(),
  };
}

test('a log that is being written verifies at every moment, listed or not: new tenants, segments, tiles and checkpoints', async (t) => {
  const log = fixture();
  const audit = await log.open({}, { segmentBytes: 256 * 1024 });
  let writing = true;
  let calls = 0;
  const write = async () => {
    while (writing) {
      const tenant = `tenant-${Math.floor(calls / 300)}`;
      await Promise.all(Array.from({ length: 6 }, () => runCall(audit, readyCall(log.clock, { tenant }), log.clock)));
      calls += 6;
      if (calls % 48 === 0) await audit.checkpoint();
    }
  };
  const writer = write();
  try {
    let read = 0;
    let round = 0;
    for (; round < 4 || (calls < CALLS && round < 100); round++) {
      const replica = join(log.home, 'audit/node-1');
      const source = interleaved(folderSource(replica), round % 2 === 0);
      const [report] = await verifyLog(source, readVerifiers(join(log.home, 'keys/audit.pub')), { now: log.clock.utc });
      source.close?.();
      assert.deepEqual(report!.findings, [], `round ${round} of ${calls} calls`);
      assert.ok(report!.records >= read);
      read = report!.records;
    }
    t.diagnostic(`${round} readings while ${calls} calls were recorded`);
  } finally {
    writing = false;
    await writer;
    await audit.close();
    log.remove();
  }
});
