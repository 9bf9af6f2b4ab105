import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Session } from 'node:inspector/promises';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { configurationOf } from '../../src/configuration.ts';
import { nodeBody } from '../../src/controls/transport/index.ts';
import { openLog } from '../../src/core/log.ts';
import { openGatewrit } from '../../src/gatewrit.ts';
import { openFronts } from '../../src/inbound/fronts.ts';
import { mcpFront } from '../../src/inbound/http/front.ts';
import { keepPort } from '../../src/inbound/http/listener.ts';
import { ADMIN_URL, PUBLIC_URL } from '../home.ts';
import { StageWatch } from '../stage-watch.ts';
import { answerBench } from './answering.ts';

/** What a gateway of the bench is started with, as JSON in its one argument. */
export interface GatewayStart {
  readonly home: string;
  /** Sections of gatewrit.yaml. */
  readonly settings: object;
  /** The pair to speak TLS 1.3 with; null: plain HTTP, which the product itself does not offer. */
  readonly certificates: { readonly cert: string; readonly key: string } | null;
  /** Put a stop watch around each stage. */
  readonly timed: boolean;
}

// As the product's own program does (bin/gatewrit.mjs).
setFlagsFromString('--no-allocation-site-pretenuring');

const start = JSON.parse(process.argv[2]!) as GatewayStart;
const clock = () => ({ utc: Date.now(), mono: performance.now() });
const configuration = configurationOf(start.settings, start.home);
const watch = new StageWatch();
const urls = { public: PUBLIC_URL, admin: ADMIN_URL };

const gatewrit = await openGatewrit({
  configuration,
  home: start.home,
  urls,
  development: null,
  clock,
  log: openLog({ level: configuration.telemetry.level }),
  onFatal(error) {
    process.stderr.write(`${error.stack}\n`);
    process.exit(3);
  },
  ...(start.timed ? { wrap: watch.around } : {}),
});
await gatewrit.lookAtServers();
const withheld = gatewrit.quarantined();
if (withheld.length > 0) throw new Error(`the bench's own tool is withheld: ${JSON.stringify(withheld)}`);

const port = start.certificates ? await secure(start.certificates) : await plain();
const profiler = new Session();
answerBench(
  { port },
  {
    stages: () => watch.take(),
    async profile({ file }: { readonly file: string | null }) {
      if (file === null) {
        profiler.connect();
        await profiler.post('Profiler.enable');
        await profiler.post('Profiler.setSamplingInterval', { interval: 200 });
        await profiler.post('Profiler.start');
      } else {
        const { profile } = await profiler.post('Profiler.stop');
        profiler.disconnect();
        writeFileSync(file, JSON.stringify(profile));
      }
    },
    async heap({ file }: { readonly file: string | null }) {
      if (file === null) {
        profiler.connect();
        await profiler.post('HeapProfiler.startSampling', {
          samplingInterval: 16_384,
          includeObjectsCollectedByMajorGC: true,
          includeObjectsCollectedByMinorGC: true,
        });
      } else {
        const { profile } = await profiler.post('HeapProfiler.stopSampling');
        profiler.disconnect();
        writeFileSync(file, JSON.stringify(profile));
      }
    },
  },
);

/** The product's own listeners. */
async function secure(certificates: { readonly cert: string; readonly key: string }): Promise<number> {
  const { listen } = configuration;
  const kept = [await keepPort(listen.public.host, 0), await keepPort(listen.admin.host, 0)] as const;
  for (const port of kept) await port.free();
  const ports = { public: kept[0].port, admin: kept[1].port };
  await openFronts({ gatewrit, listen, ports, certificates, clock });
  return ports.public;
}

/** The same handler behind node:http, hardened as the other: only here, so that TLS can be told from the rest. */
async function plain(): Promise<number> {
  const { transport } = gatewrit;
  const {
    cert: _cert,
    key: _key,
    minVersion: _min,
    maxVersion: _max,
    ALPNProtocols: _alpn,
    ...options
  } = transport.serverOptions({ certificate: '', key: '' });
  const front = mcpFront({
    handler: gatewrit,
    headers: transport.headers,
    body: nodeBody,
    clock,
    maxBufferedBytes: 4 * 1024 * 1024,
    keepAliveMs: 15_000,
  });
  const server = createServer(options, front);
  transport.harden(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
