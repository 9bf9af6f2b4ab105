import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { Breaker } from './breaker.ts';
import { EventStreamReader } from './event-stream.ts';
import { LineReader } from './line-reader.ts';

/** Cuts bytes into pieces at the given places. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((start, i) => bytes.subarray(start, places[i] ?? bytes.length));
}

describe('event streams', () => {
  test('however the bytes are cut, the same events come out', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\r\n]/.test(text)),
          { maxLength: 6 },
        ),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(), { maxLength: 12 }),
        (events, newline, cuts) => {
          const text = events
            .map((data) => `: note${newline}event: message${newline}data: ${data}${newline}${newline}`)
            .join('');
          const seen: string[] = [];
          const reader = new EventStreamReader(1_000_000, (data) => seen.push(Buffer.from(data).toString()));
          for (const piece of pieces(Buffer.from(text), cuts)) assert.ok(reader.push(piece));
          assert.deepEqual(seen, events);
        },
      ),
    );
  });

  test('several data lines are one event, joined by line feeds', () => {
    const seen: string[] = [];
    new EventStreamReader(100, (data) => seen.push(Buffer.from(data).toString())).push(
      Buffer.from('data: {"a":\ndata:1}\n\n'),
    );
    assert.deepEqual(seen, ['{"a":\n1}']);
  });

  test('an event that passes the cap is noticed before it ends', () => {
    const reader = new EventStreamReader(64, () => assert.fail('nothing may come out'));
    assert.ok(reader.push(Buffer.from('data: ')));
    assert.equal(reader.push(Buffer.alloc(65, 0x61)), false);
  });
});

describe('lines of a process', () => {
  test('however the bytes are cut, the same lines come out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1 }).filter((line) => !line.includes('\n'))),
        fc.array(fc.nat(), { maxLength: 9 }),
        (lines, cuts) => {
          const seen: string[] = [];
          const reader = new LineReader(
            100_000,
            (line) => seen.push(Buffer.from(line).toString()),
            () => assert.fail('no line is that long'),
          );
          for (const piece of pieces(Buffer.from(lines.map((line) => `${line}\n`).join('')), cuts)) reader.push(piece);
          assert.deepEqual(seen, lines);
        },
      ),
    );
  });

  test('a line past the cap is dropped whole and reported once; the next one is read', () => {
    const seen: string[] = [];
    let overflows = 0;
    const reader = new LineReader(
      10,
      (line) => seen.push(Buffer.from(line).toString()),
      () => overflows++,
    );
    for (let i = 0; i < 100; i++) reader.push(Buffer.from('aaaaaaa'));
    reader.push(Buffer.from('\nshort\n'));
    assert.deepEqual([seen, overflows], [['short'], 1]);
  });
});

describe('the breaker', () => {
  test('opens after failures in a row, lets one call try after the pause, and closes on success', () => {
    const breaker = new Breaker({ failures: 2, pauseMs: 100 });
    breaker.unreached(0);
    assert.equal(breaker.waitMs(1), 0);
    breaker.unreached(1);
    assert.equal(breaker.waitMs(2), 99);
    assert.equal(breaker.waitMs(101), 0, 'one may try');
    assert.equal(breaker.waitMs(102), 99, 'the others wait for it');
    breaker.reached();
    assert.equal(breaker.waitMs(103), 0);
  });
});

test('what a server says in a million pieces weighs what it is, in an event, a line and an answer', async () => {
  const at = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `
    import { createServer } from 'node:http';
    import { Readable, pipeline } from 'node:stream';
    import { EventStreamReader } from ${at('./event-stream.ts')};
    import { HttpWire } from ${at('./http.ts')};
    import { LineReader } from ${at('./line-reader.ts')};
    const said = [];
    const events = new EventStreamReader(1_100_000, (data) => said.push(data.length));
    const lines = new LineReader(1_100_000, (line) => said.push(line.length), () => {});
    const thousand = Buffer.from('data\\n'.repeat(1_000));
    for (let i = 0; i < 1_000; i++) events.push(thousand);
    events.push(Buffer.from('\\ndata: '));
    for (let i = 0; i < 1_000_000; i++) {
      events.push(Buffer.from('x'));
      lines.push(Buffer.from('x'));
    }
    events.push(Buffer.from('\\n\\n'));
    lines.push(Buffer.from('\\n'));
    const chunks = Buffer.from('1\\r\\n \\r\\n'.repeat(1_000));
    function* pieces() { for (let i = 0; i < 1_000; i++) yield chunks; yield Buffer.from('0\\r\\n\\r\\n'); }
    const server = createServer((_req, { socket }) => {
      socket.write('HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n');
      pipeline(Readable.from(pieces()), socket, () => {});
    }).listen(0, '127.0.0.1', async () => {
      const wire = new HttpWire({ url: 'http://127.0.0.1:' + server.address().port, maxConnections: 1, connectTimeoutMs: 5_000 });
      const answer = await wire.exchange({ id: 1, method: 'x', bytes: Buffer.from('{}'), headers: [], timeoutMs: 60_000, maxBytes: 1_100_000, signal: null, onOther: null });
      said.push(answer.bytes.length);
      console.log(said.join());
      process.exit();
    });`;
  // Kept piece by piece none of them would fit.
  const args = ['--max-old-space-size=64', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  assert.equal(stdout.trim(), '999999,1000000,1000000,1000000');
});
