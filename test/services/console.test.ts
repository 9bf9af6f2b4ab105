import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Quickstart } from '../e2e/quickstart.ts';
import { debian } from './install.ts';

/** The console in a real browser: it renders, and the browser has nothing to say against it. */
const missing = debian('chromium', 'chromium', 'fonts-dejavu-core');
/** Without these it looks for hosts that have nothing to do with us. The development CA is not the browser's. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-extensions',
  '--disable-sync',
  '--no-first-run',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  '--ignore-certificate-errors',
  '--hide-scrollbars',
  '--enable-logging=stderr',
];
const SIZES = [
  { name: 'desktop', width: 1280, height: 800 },
  { name: 'phone', width: 390, height: 844 },
] as const;

describe('the console in Chromium', { skip: missing ?? false }, () => {
  const profile = mkdtempSync(join(tmpdir(), 'gatewrit-chromium-'));
  /** Kept, to be looked at. */
  const shots = mkdtempSync(join(tmpdir(), 'gatewrit-screenshots-'));
  let quickstart: Quickstart;
  before(async () => {
    quickstart = await Quickstart.start();
  });
  after(async () => {
    await quickstart?.close();
    rmSync(profile, { recursive: true, force: true });
  });

  function browse(url: string, ...args: string[]): Promise<{ dom: string; complaints: string[] }> {
    const all = [...FLAGS, `--user-data-dir=${profile}`, ...args, url];
    return new Promise((resolve, reject) => {
      execFile('chromium', all, { timeout: 60_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error) reject(new Error(`chromium failed:\n${stderr.slice(-2_000)}`, { cause: error }));
        else resolve({ dom: stdout, complaints: stderr.split('\n').filter((line) => line.includes('CONSOLE')) });
      });
    });
  }

  test('what a page does wrong would be seen', async () => {
    const server = createServer((_req, res) => {
      res.setHeader('content-security-policy', "default-src 'none'; script-src 'sha256-x'");
      res.setHeader('content-type', 'text/html').end('<script>1</script><p style="color:red">canary</p>');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { complaints } = await browse(
      `http://127.0.0.1:${(server.address() as { port: number }).port}/`,
      '--dump-dom',
    );
    server.close();
    assert.ok(complaints.length >= 2, complaints.join('\n'));
  });

  for (const { name, width, height } of SIZES) {
    test(`renders on a ${name}, without an error in the browser's console`, async (t) => {
      const url = `${quickstart.gateway.ready.admin}/console`;
      const size = `--window-size=${width},${height}`;
      const { dom, complaints } = await browse(url, size, '--dump-dom');
      assert.match(dom, /<h1>Gatewrit<\/h1>/);
      assert.deepEqual(complaints, []);
      const file = join(shots, `console-${name}.png`);
      assert.deepEqual((await browse(url, size, `--screenshot=${file}`)).complaints, []);
      const png = readFileSync(file);
      assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [width, height]);
      // An empty page of this size is far smaller.
      assert.ok(png.length > 10_000, `${png.length} bytes`);
      t.diagnostic(`screenshot: ${file}`);
    });
  }
});
