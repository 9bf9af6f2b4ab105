import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Fixture, fixture, readyCall, runCall } from '../../src/controls/audit/audit-kit.test.ts';
import { find, lastLines, skipped } from './install.ts';
import { accepts, freePort, RunningServer } from './running.ts';

/**
 * The OTLP sink against a receiver that parses with the official protobuf definitions (PyPI: opentelemetry-proto), which
 * refuse a member they do not know. The collector itself is not to be had as a ready program from a package registry.
 */
const DEFINITIONS = 'opentelemetry-proto==1.45.2';
const environment = join(homedir(), '.cache/gatewrit-services', DEFINITIONS.replace('==', '@'));
const python = join(environment, 'bin/python');

function install(): string | null {
  if (existsSync(join(environment, 'whole'))) return null;
  if (!find('python3')) return skipped(DEFINITIONS, 'there is no python3 on PATH');
  try {
    execFileSync('python3', ['-m', 'venv', environment], { stdio: 'pipe', timeout: 120_000 });
    execFileSync(python, ['-m', 'pip', 'install', '-q', DEFINITIONS], { stdio: 'pipe', timeout: 240_000 });
    execFileSync('touch', [join(environment, 'whole')]);
    return null;
  } catch (error) {
    return skipped(DEFINITIONS, lastLines(error));
  }
}

interface Received {
  readonly refused?: string;
  readonly service: string;
  readonly index: number;
  readonly origin: string;
  readonly time: string;
  readonly severity: number;
  readonly body: string;
}

const missing = install();

describe('records of the audit log in OTLP', { skip: missing ?? false }, () => {
  let port: number;
  let receiver: RunningServer;
  let f: Fixture;

  before(async () => {
    port = await freePort();
    receiver = new RunningServer(python, [join(import.meta.dirname, 'otlp-receiver/receiver.py'), String(port)]);
    await receiver.until(() => accepts(port));
    f = fixture();
  });
  after(async () => {
    await receiver?.stop();
    f?.remove();
  });

  test('the official definitions parse every one of them, whole, and tell them apart', async () => {
    const sink = { kind: 'otlp', name: 'siem', url: `http://127.0.0.1:${port}/v1/logs`, batchRecords: 3 };
    const audit = await f.open({}, { sinks: [sink] });
    for (let i = 0; i < 10; i++) await runCall(audit, readyCall({ ...f.clock }), { ...f.clock });
    await audit.record({ kind: 'approval', tenant: 'acme', meta: { event: 'approved', id: 'a-1' } });
    await audit.erase({ tenant: 'acme', subject: 'nobody', basis: 'request', by: 'operator' });
    await audit.checkpoint();
    const received = () =>
      receiver.output
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Received);
    for (let i = 0; i < 200 && received().length < 22; i++) await sleep(50);
    await audit.close();
    assert.deepEqual(
      received().filter(({ refused }) => refused),
      [],
    );
    const indexes = new Set(received().map(({ index }) => index));
    assert.deepEqual(
      [...indexes],
      Array.from({ length: 22 }, (_, i) => i),
    );
    for (const { service, time, severity, body, origin } of received()) {
      assert.deepEqual([service, time, body], ['gatewrit', `${f.clock.utc}000000`, 'kvlist_value']);
      assert.ok(severity >= 1 && severity <= 24);
      assert.match(origin, /^test\/[0-9a-f]{32}\/node-1$/);
    }
  });
});
