import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { interopClients } from '../conformance/clients.ts';
import { HttpFixture, stdioFixture } from '../conformance/fixture.ts';
import { ConformanceGateway } from '../conformance/gateway.ts';
import { conformancePackages } from '../conformance/packages.ts';
import { skipped } from './install.ts';

/** Every client we know of, before every kind of upstream: what people run in front of and behind a gateway. */
const packages = conformancePackages();
const missing = packages.missing && skipped('SDK 1.x and the Inspector', packages.missing);
const UPSTREAMS = ['http-modern', 'http-legacy', 'stdio-modern', 'stdio-legacy'] as const;

describe('clients and upstreams of both eras, through one gateway', { skip: missing ?? false }, () => {
  let gateway: ConformanceGateway | null = null;
  const fixtures: HttpFixture[] = [];

  before(async () => {
    const modern = await HttpFixture.start('modern', 'http-modern');
    fixtures.push(modern);
    const legacy = await HttpFixture.start('legacy', 'http-legacy');
    fixtures.push(legacy);
    gateway = await ConformanceGateway.start({
      'http-modern': { http: { url: modern.url } },
      'http-legacy': { http: { url: legacy.url } },
      'stdio-modern': { stdio: stdioFixture('modern', 'stdio-modern') },
      'stdio-legacy': { stdio: stdioFixture('legacy', 'stdio-legacy') },
    });
  });
  after(async () => {
    await gateway?.close();
    for (const fixture of fixtures) await fixture.stop();
  });

  for (const client of interopClients(packages)) {
    for (const upstream of UPSTREAMS) {
      test(`${client.name} lists, calls, reads and gets a prompt of ${upstream}`, async () => {
        const caFile = gateway!.process.ready.ca;
        const connected = await client.connect({
          url: gateway!.endpoint(upstream),
          token: await gateway!.token(upstream),
          ...{ ca: readFileSync(caFile, 'utf8'), caFile },
        });
        try {
          assert.equal(connected.revision ?? client.revision, client.revision);
          assert.ok((await connected.tools()).includes('test_simple_text'));
          assert.match(await connected.call('test_simple_text'), /This is a simple text response for testing\./);
          assert.match(await connected.read(`${upstream}://static-text`), /content of the static text resource/);
          assert.match(await connected.prompt('test_simple_prompt'), /This is a simple prompt for testing\./);
        } finally {
          await connected.close();
        }
      });
    }
  }
});
