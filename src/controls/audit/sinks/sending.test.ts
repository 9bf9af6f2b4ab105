import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../core/log.ts';
import { memoryRows, openMemoryStore } from '../../../core/store/memory.ts';
import type { Audit } from '../audit.ts';
import { CANARIES, type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { sinksSettings } from './settings.ts';

interface LogRecord {
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, string> }[];
}

describe('records that are sent on', () => {
  let f: Fixture;
  let folder: string;
  const opened: Audit[] = [];
  const said: string[] = [];
  const log: Log = {
    info: () => undefined,
    warn: (message) => void said.push(message),
    error: (message) => void said.push(message),
  };

  beforeEach(() => {
    f = fixture(openMemoryStore(memoryRows()));
    folder = mkdtempSync(join(tmpdir(), 'gatewrit-sending-'));
    said.length = 0;
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((audit) => audit.close()));
    f.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = async (sink: object) => {
    const audit = await f.open({ log }, { sinks: [{ name: 'siem', ...sink }] });
    opened.push(audit);
    return audit;
  };
  const calls = async (audit: Audit, count: number) => {
    for (let i = 0; i < count; i++) await runCall(audit, readyCall({ ...f.clock }), { ...f.clock });
    await audit.checkpoint();
  };
  const until = async (holds: () => boolean, what: string) => {
    for (let i = 0; i < 500 && !holds(); i++) await sleep(10);
    assert.ok(holds(), what);
  };
  const restart = async (audit: Audit) => {
    await audit.close();
    opened.splice(opened.indexOf(audit), 1);
  };

  describe('to a file', () => {
    const path = () => join(folder, 'audit.jsonl');
    const linesOf = (file: string) =>
      existsSync(file)
        ? readFileSync(file, 'utf8')
            .split('\n')
            .slice(0, -1)
            .map((line) => JSON.parse(line))
        : [];
    const jsonl = (changes: object = {}) => open({ kind: 'jsonl', path: path(), format: 'records', ...changes });

    test('every record is one line, in order, over restarts too, in a file for its owner alone', async () => {
      const first = await jsonl();
      await calls(first, 5);
      await restart(first);
      const second = await jsonl();
      await calls(second, 5);
      await restart(second);
      assert.deepEqual(
        linesOf(path()).map(({ index }) => index),
        Array.from({ length: 20 }, (_, i) => i),
      );
      assert.equal(statSync(path()).mode & 0o777, 0o600);
    });

    test('lines are OCSF unless asked otherwise, and never hold a value of a call', async () => {
      const audit = await jsonl({ format: 'ocsf' });
      await calls(audit, 2);
      await until(() => linesOf(path()).length >= 4, 'four events');
      assert.ok(linesOf(path()).every(({ metadata }) => metadata.version === '1.8.0'));
      const text = readFileSync(path(), 'utf8');
      for (const value of [CANARIES.argument, CANARIES.reply, CANARIES.diagnostics]) assert.ok(!text.includes(value));
    });

    test('an old collector gets CEF, a line for each event', async () => {
      const audit = await jsonl({ format: 'cef' });
      await calls(audit, 2);
      const lines = () => (existsSync(path()) ? readFileSync(path(), 'utf8').split('\n').slice(0, -1) : []);
      await until(() => lines().length >= 4, 'four lines');
      for (const line of lines())
        assert.match(line, /^CEF:0\|Gatewrit\|Gatewrit\|[^|]+\|6003\d\d\|API Activity: \w+\|2\|rt=/);
    });

    test('a file that was rotated away is begun anew, and nothing is lost between the two', async () => {
      const audit = await jsonl();
      await calls(audit, 3);
      await until(() => linesOf(path()).length === 6, 'six lines');
      renameSync(path(), `${path()}.1`);
      await calls(audit, 2);
      await until(() => linesOf(path()).length === 4, 'four lines');
      writeFileSync(path(), '');
      await calls(audit, 1);
      await until(() => linesOf(path()).length === 2, 'two lines after it was cut down in its place');
      assert.equal(linesOf(`${path()}.1`).length, 6);
    });

    test('a line that was torn by a crash is mended at the start', async () => {
      writeFileSync(path(), '{"whole":1}\n', { mode: 0o600 });
      appendFileSync(path(), `{"torn":"${'x'.repeat(200_000)}`);
      const audit = await jsonl();
      await calls(audit, 1);
      await until(() => linesOf(path()).length === 3, 'the whole line and two of ours');
      assert.deepEqual(linesOf(path())[0], { whole: 1 });
    });
  });

  describe('to a collector', () => {
    let server: Server;
    let answer: (request: IncomingMessage, response: ServerResponse, body: string, count: number) => void;
    const requests: { body: string; authorization: string | undefined }[] = [];
    const accepted: LogRecord[] = [];

    beforeEach(async () => {
      requests.length = 0;
      accepted.length = 0;
      answer = (_, response) => response.end('{}');
      server = createServer(async (request, response) => {
        let body = '';
        for await (const chunk of request) body += chunk;
        requests.push({ body, authorization: request.headers.authorization });
        response.on('finish', () => {
          if (response.statusCode === 200) accepted.push(...recordsIn(body));
        });
        answer(request, response, body, requests.length);
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
    });
    afterEach(() => {
      server.closeAllConnections();
      server.close();
    });

    const recordsIn = (body: string): LogRecord[] =>
      JSON.parse(body).resourceLogs.flatMap((logs: { scopeLogs: { logRecords: LogRecord[] }[] }) =>
        logs.scopeLogs.flatMap(({ logRecords }) => logRecords),
      );
    const indexOf = ({ attributes }: LogRecord) =>
      Number(attributes.find(({ key }) => key === 'gatewrit.record.index')!.value['intValue']);
    const indexes = () => [...new Set(accepted.map(indexOf))];
    const otlp = (changes: object = {}) => {
      const { port } = server.address() as AddressInfo;
      return open({ kind: 'otlp', url: `http://127.0.0.1:${port}/v1/logs`, timeoutMs: 300, ...changes });
    };
    const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

    test('every record arrives, in batches, with the token, and never twice when nothing fails', async () => {
      process.env['OTLP_TOKEN_OF_TEST'] = 'token-of-test';
      const audit = await otlp({ bearer: 'env:OTLP_TOKEN_OF_TEST', batchRecords: 20 });
      await calls(audit, 25);
      await until(() => indexes().length === 50, 'fifty records');
      await restart(audit);
      const second = await otlp();
      await calls(second, 1);
      await until(() => indexes().length === 52, 'two more after a restart');
      assert.deepEqual(accepted.map(indexOf), upTo(52));
      assert.equal(requests[0]!.authorization, 'Bearer token-of-test');
      assert.ok(requests.every(({ body }) => recordsIn(body).length <= 20));
    });

    test('a collector that fails, hangs up or is silent gets them again, in order, and no call is refused', async () => {
      answer = (request, response, _body, count) => {
        if (count === 1) response.writeHead(503).end();
        else if (count === 2) request.socket.destroy();
        else if (count > 3) response.end('{}');
      };
      const audit = await otlp();
      await calls(audit, 3);
      f.clock.mono += 10_000_000;
      await calls(audit, 2);
      await until(() => indexes().length === 10, 'ten records');
      assert.deepEqual(indexes(), upTo(10));
      assert.ok(said.some((line) => line.includes('trying again')));
    });

    test('waits as long as a collector asks with 429', async () => {
      const at: number[] = [];
      answer = (_, response, _body, count) => {
        at.push(performance.now());
        if (count === 1) response.writeHead(429, { 'retry-after': '1' }).end();
        else response.end('{}');
      };
      const audit = await otlp();
      await calls(audit, 1);
      await until(() => indexes().length === 2, 'two records');
      assert.ok(at[1]! - at[0]! >= 990, `it came back after ${at[1]! - at[0]!} ms`);
    });

    test('of a batch that is refused only the record that is wrong is left out, and that is said', async () => {
      answer = (_, response, body) => {
        const wrong = recordsIn(body).some((record) => indexOf(record) === 3);
        response.writeHead(wrong ? 400 : 200).end('{}');
      };
      const audit = await otlp();
      await calls(audit, 5);
      await until(() => indexes().length === 9, 'nine records');
      assert.deepEqual(
        indexes().sort((a, b) => a - b),
        upTo(10).filter((index) => index !== 3),
      );
      assert.ok(said.includes('the collector does not take a record; it is left out'));
    });

    test('an outcome says what its intent said, also when it had to be sent again', async () => {
      answer = (_, response, _body, count) => (count === 1 ? response.writeHead(503).end() : response.end('{}'));
      const audit = await otlp();
      await calls(audit, 1);
      await until(() => indexes().length === 2, 'two records');
      const [first, again] = requests.map(({ body }) => body);
      assert.equal(again, first);
      assert.ok(JSON.stringify(recordsIn(again!)[1]).includes(CANARIES.target.split('/')[1]!));
    });
  });

  test('settings: neither may gate calls, secrets are references, and clear HTTP stays on this machine', () => {
    const faulty = (sink: object) => !sinksSettings.safeParse([{ name: 'siem', ...sink }]).success;
    assert.ok(!faulty({ kind: 'otlp', url: 'https://collector.example.com/v1/logs' }));
    assert.ok(!faulty({ kind: 'otlp', url: 'http://localhost:4318/v1/logs' }));
    assert.ok(faulty({ kind: 'otlp', url: 'http://collector.example.com/v1/logs' }));
    assert.ok(faulty({ kind: 'otlp', url: 'https://user:word@collector.example.com/v1/logs' }));
    assert.ok(faulty({ kind: 'otlp', url: 'https://collector.example.com/v1/logs', required: true }));
    assert.ok(faulty({ kind: 'otlp', url: 'https://collector.example.com/v1/logs', bearer: 'plain' }));
    assert.ok(faulty({ kind: 'jsonl', path: '/tmp/x', required: true }));
    const twice = { kind: 'jsonl', name: 'siem', path: '/tmp/x' };
    assert.ok(!sinksSettings.safeParse([twice, twice]).success);
  });
});
