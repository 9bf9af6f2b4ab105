import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { urlSource } from './source-url.ts';
import { type LogFiles, type Swept, sweptLog } from './sweep-kit.test.ts';
import { VerifierError } from './verifier-error.ts';
import { verifyLog } from './verify-log.ts';

let swept: Swept;
let server: Server;
let address: string;
/** How the server at hand answers, and how often it was asked. */
let answer: (request: IncomingMessage, response: ServerResponse, path: string) => void;
let asked = 0;

before(async () => {
  swept = await sweptLog(400, 128 * 1024);
  server = createServer((request, response) => {
    asked++;
    answer(request, response, decodeURIComponent(request.url!.slice('/log/'.length)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`;
});
after(() => {
  swept.log.remove();
  server.closeAllConnections();
  server.close();
});

/** A plain web server over files by path. */
function serve(files: LogFiles, ranges: boolean, lengths = true): typeof answer {
  return (request, response, path) => {
    const bytes = files.get(path);
    if (!bytes) return void response.writeHead(404).end('<h1>not found</h1>');
    const range = ranges ? /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '') : null;
    if (!range) return void response.writeHead(200, lengths ? { 'content-length': bytes.length } : {}).end(bytes);
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)];
    if (from >= bytes.length) return void response.writeHead(416).end();
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` });
    response.end(bytes.subarray(from, to));
  };
}

async function verified(options?: Parameters<typeof verifyLog>[2], at = address) {
  const source = urlSource(at, { deadlineMs: 500 });
  try {
    return await verifyLog(source, swept.verifiers, options);
  } finally {
    source.close?.();
  }
}

test('a replica behind a web server is verified, with ranges and without, and what cannot be looked for is said', async () => {
  for (const [ranges, lengths] of [
    [true, true],
    [false, true],
    [true, false],
    [false, false],
  ] as const) {
    answer = serve(swept.files, ranges, lengths);
    const [report, ...more] = await verified();
    assert.deepEqual([report!.findings, report!.records, more.length], [[], 400, 0], `ranges ${ranges}`);
    assert.ok(report!.segments > 2);
    assert.match(report!.skipped.join(), /files that do not belong to the log: this source cannot list/);
  }
});

test('a whole log behind a web server is verified by the names of its replicas', async () => {
  const files = new Map([...swept.files].map(([path, bytes]) => [`node-1/${path}`, bytes]));
  answer = serve(files, true);
  assert.deepEqual((await verified({ replicas: ['node-1'] }))[0]!.findings, []);
  await assert.rejects(verified(), (error) => error instanceof VerifierError && /name them/.test(error.message));
  const [nobody] = await verified({ replicas: ['node-2'] });
  assert.deepEqual([nobody!.young, nobody!.findings[0]?.what], [false, 'there is no segment']);
});

test('a changed, missing or cut file is found through a web server too', async () => {
  for (const ranges of [true, false])
    for (const [file, bytes] of swept.files) {
      if (file.includes('.p/')) continue;
      const bent = Buffer.from(bytes);
      bent[bent.length >> 1]! ^= 1;
      for (const harmed of [bent, bytes.subarray(0, bytes.length - 1), null]) {
        const files = new Map(swept.files);
        if (harmed) files.set(file, harmed);
        else files.delete(file);
        answer = serve(files, ranges);
        const reports = await verified().catch((error) => error as Error);
        const isFound = reports instanceof Error || reports.some(({ findings }) => findings.length > 0);
        assert.ok(isFound, `${file}, ranges ${ranges}`);
      }
    }
});

test('a large file of a server without ranges is asked for once, not once for each window', async () => {
  const big = Buffer.alloc(5 * 1024 * 1024, 'gatewrit');
  answer = serve(new Map([['big', big]]), false);
  asked = 0;
  const source = urlSource(address);
  const pieces: Buffer[] = [];
  for (let at = 0; ; at += 100_000) {
    const piece = await source.read('big', at, at + 100_000);
    if (piece!.length === 0) break;
    pieces.push(piece!);
  }
  assert.ok(Buffer.concat(pieces).equals(big));
  assert.ok(asked <= 2, `${asked} requests`);
  assert.equal((await source.read('big', 7, 15))!.toString(), 'tgatewri');
  assert.equal(await source.size('big'), big.length);
  assert.equal(await source.read('none', 0, 1), null);
  source.close?.();
});

const LIES: Readonly<Record<string, typeof answer>> = {
  'a redirect': (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  'no right to read': (_, response) => response.writeHead(403).end(),
  'an outage': (_, response) => response.writeHead(503).end(),
  'another range': (_, response) => response.writeHead(206, { 'content-range': 'bytes 9-99/100' }).end('x'),
  'more than was asked for': (_, response) =>
    response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end(Buffer.alloc(100)),
  'something packed': (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
  'no answer': () => undefined,
  'half an answer': (_, response) => void response.writeHead(200, { 'content-length': 50 }).write('x'),
  'a lost connection': (request) => void request.socket.destroy(),
};
for (const [what, lie] of Object.entries(LIES))
  test(`${what} is no log and no missing file: the verifier says that it could not read`, async () => {
    answer = lie;
    const source = urlSource(address, { deadlineMs: 200 });
    await assert.rejects(
      source.read('journal/checkpoint', 0, 10),
      (error) => error instanceof VerifierError && error.code === 'unreachable',
    );
    source.close?.();
  });

test('a connection that is lost while nobody reads is said at the next read, and not waited for', {
  timeout: 10_000,
}, async () => {
  answer = (_, response) => {
    response.writeHead(200, { 'content-length': 200_000 }).write(Buffer.alloc(100_000));
    setTimeout(() => response.destroy(), 20);
  };
  const source = urlSource(address, { deadlineMs: 500 });
  await source.read('segments/00000001.seg', 0, 90_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await assert.rejects(source.read('segments/00000001.seg', 90_000, 150_000), VerifierError);
  source.close?.();
});

test('an address that is none is refused at once', () => {
  for (const address of ['ftp://host/log', 'log', 'file:///etc'])
    assert.throws(() => urlSource(address), VerifierError);
});
