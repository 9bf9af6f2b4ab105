import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import type { Call } from '../src/core/call.ts';
import { spreadOf } from './statistics.ts';

/**
 * The audit log alone: intents and outcomes of calls as the pipeline hands them over, durable, trees and checkpoints
 * included. Another checkout may be measured beside this one, in turns inside one run:
 *
 *   node bench/parts-audit.ts [--beside ROOT] [--rounds 7] [--calls 6000] [--at 100,16]
 *
 * One process each; CPU is that of the whole process. The home lies under bench/out/, where fdatasync waits for a disk.
 */
const median = (values: readonly number[]) => spreadOf(values).median;

interface Round {
  readonly cpuMicros: number;
  readonly bytes: number;
  readonly wallMs: number;
  readonly commits: number;
}

const here = join(import.meta.dirname, '..');
const CALLERS = 8;
const TEXT = 'Please check the shipment that left the warehouse in Rotterdam on Tuesday. '.repeat(6);

const { values } = parseArgs({
  options: {
    beside: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    calls: { type: 'string', default: '6000' },
    at: { type: 'string', default: '100,16' },
    child: { type: 'string' },
  },
});
if (values.child) await child(values.child);
else await compare();

async function compare(): Promise<void> {
  const roots = [...(values.beside ? [resolve(values.beside)] : []), here];
  const children = roots.map((root) => fork(import.meta.filename, ['--child', root]));
  const ask = (i: number, question: object) =>
    new Promise<Round>((done) => {
      children[i]!.once('message', (answer) => done(answer as Round));
      children[i]!.send(question);
    });
  const calls = Number(values.calls);
  for (const together of values.at.split(',').map(Number)) {
    for (const i of roots.keys()) await ask(i, { calls: calls * 2, together });
    const rounds: Round[][] = roots.map(() => []);
    for (let round = 0; round < Number(values.rounds); round++)
      for (const i of roots.keys()) {
        const turn = (i + round) % roots.length;
        rounds[turn]!.push(await ask(turn, { calls, together }));
      }
    const records = 2 * calls;
    const cpuOf = (i: number) => rounds[i]!.map(({ cpuMicros }) => cpuMicros / records);
    for (const [i, root] of roots.entries()) {
      const of = (figure: (round: Round) => number) => median(rounds[i]!.map(figure));
      const cpu = cpuOf(i);
      process.stdout.write(
        `${String(together).padStart(4)} together  ${(of(({ cpuMicros }) => cpuMicros) / records).toFixed(1)} µs CPU/record ` +
          `[${Math.min(...cpu).toFixed(1)}–${Math.max(...cpu).toFixed(1)}]  ` +
          `${(of(({ bytes }) => bytes) / records).toFixed(0)} bytes/record  ` +
          `${(records / of(({ commits }) => commits)).toFixed(1)} records/commit  ${root}\n`,
      );
    }
    if (roots.length === 2) {
      const ratios = rounds[0]!.map(({ cpuMicros }, i) => cpuMicros / rounds[1]![i]!.cpuMicros);
      process.stdout.write(
        `     the first ÷ the second: ${median(ratios).toFixed(2)} [${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}], ` +
          `of the best rounds ${(Math.min(...cpuOf(0)) / Math.min(...cpuOf(1))).toFixed(2)}\n`,
      );
    }
  }
  for (const one of children) one.send({ end: true });
}

async function child(root: string): Promise<void> {
  const { openAudit, auditSettings } = (await import(
    `${root}/src/controls/audit/index.ts`
  )) as typeof import('../src/controls/audit/index.ts');
  const { openMemoryStore } = (await import(
    `${root}/src/core/store/memory.ts`
  )) as typeof import('../src/core/store/memory.ts');
  const { uuidv7 } = (await import(`${root}/src/core/ids.ts`)) as typeof import('../src/core/ids.ts');
  const { sha256Base64Url } = (await import(
    `${root}/src/core/crypto/digest.ts`
  )) as typeof import('../src/core/crypto/digest.ts');
  const out = join(here, 'bench', 'out');
  mkdirSync(out, { recursive: true });
  const home = mkdtempSync(join(out, 'audit-'));
  const fatal = (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(3);
  };
  const weak: readonly string[] = ['authentication.development'];
  const audit = await openAudit({
    settings: auditSettings.parse({}),
    home,
    keys: { folder: join(home, 'keys'), generate: true },
    store: openMemoryStore(),
    deployment: 'bench',
    replica: 'node-1',
    onFatal: fatal,
    weak: () => weak,
  });
  const digest = sha256Base64Url('some definition');
  const principals = Array.from({ length: CALLERS }, (_, i) => ({
    issuer: 'https://issuer.bench.test',
    subject: `caller-${i}@bench.test`,
    client: 'https://client.bench.test/metadata',
    tenant: 'default',
    scopes: ['bench:echo', 'everything:use', 's3:list'],
    groups: ['engineering', 'data-platform', 'on-call-europe'],
    proof: 'bearer' as const,
    actors: [],
    expiresAt: Number.MAX_SAFE_INTEGER,
    key: sha256Base64Url(`key ${i}`),
    authority: sha256Base64Url(`authority ${i}`),
  }));
  const target = { tenant: 'default', server: 'bench', key: 'bench/echo', digest, manifest: digest };
  const decisions = principals.map(() => ({
    obligations: { approval: null, redaction: null, maxResultBytes: null },
    rules: ['people/use-tools-in-scope'],
    policy: digest,
    wouldRefuse: null,
  }));
  const approval = { use: 'none', id: null, approvers: [], stored: null, approved: null };
  const findings = { list: [] };
  const signal = new AbortController().signal;
  const clock = () => ({ utc: Date.now(), mono: performance.now() });
  let count = 1_000_000;

  const oneCall = async (connection: number) => {
    const now = clock();
    const caller = connection % CALLERS;
    const bytes = Buffer.from(JSON.stringify({ nonce: `n${connection}-${count++}`, count, text: TEXT }));
    const call = {
      id: uuidv7(now.utc),
      way: 'http',
      arrived: now,
      signal,
      principal: principals[caller],
      message: { revision: '2026-07-28', method: 'tools/call', name: 'bench__echo' },
      target,
      arguments: { view: {}, digest: sha256Base64Url(bytes), bytes: () => bytes },
      decision: decisions[caller],
      findings,
      approval,
    } as unknown as Call;
    const intent = await audit.stages.intent.run(call as Parameters<typeof audit.stages.intent.run>[0], now);
    if (!('index' in intent)) throw new Error('no intent');
    call.intent = intent;
    call.reply = { kind: 'result', bytes: Buffer.from(bytes), findings: [], diagnostics: null, status: 200 };
    const receipt = await audit.stages.outcome.run(call, clock());
    if (!('index' in receipt)) throw new Error('no receipt');
    call.receipt = receipt;
  };

  process.on('message', (question: { calls: number; together: number; end?: boolean }) => {
    if (question.end) {
      void audit.close().then(() => {
        rmSync(home, { recursive: true, force: true });
        process.exit(0);
      });
      return;
    }
    const { calls, together } = question;
    let left = calls;
    const cpu = process.cpuUsage();
    const bytes = getHeapStatistics().total_allocated_bytes as unknown as number;
    const { commits } = audit.stats();
    const begun = performance.now();
    const connection = async (i: number) => {
      while (left-- > 0) await oneCall(i);
    };
    void Promise.all(Array.from({ length: together }, (_, i) => connection(i))).then(() => {
      const { user, system } = process.cpuUsage(cpu);
      process.send!({
        cpuMicros: user + system,
        bytes: (getHeapStatistics().total_allocated_bytes as unknown as number) - bytes,
        wallMs: performance.now() - begun,
        commits: audit.stats().commits - commits,
      } satisfies Round);
    }, fatal);
  });
}
