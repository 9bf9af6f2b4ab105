import { AttackTarget } from '../attacks/target.ts';
import type { Place, RawAnswer } from '../e2e/raw-http.ts';
import { RawConnection } from '../e2e/raw-http.ts';
import { Dice } from './dice.ts';
import { type Account, accountOf, type Findings, judgeLog } from './judge.ts';
import { type Credentials, fuzzRequest } from './request.ts';

export interface FuzzReport {
  readonly seed: number;
  readonly seconds: number;
  readonly requests: number;
  readonly answers: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly healthy: { readonly calls: number; readonly slowestMs: number; readonly p99Ms: number };
  readonly records: number;
  /** Everything that broke a promise; empty when all held. */
  readonly failures: readonly string[];
}

const FUZZERS = 12;
const PER_CONNECTION = 12;
/** Every request is answered or its connection closed within this; the gateway's own timeouts are set to 1 s. */
const HANG_MS = 8_000;
const HEALTHY_MS = 5_000;
const SCOPES = ['jira:read', 'jira:write'];

/** Fuzzes the front of a gateway of its own for a while, then holds what was answered against its log. */
export async function fuzzFront({ seed, ms }: { seed: number; ms: number }): Promise<FuzzReport> {
  const target = await AttackTarget.start({
    transport: { bodyTimeoutMs: 1_000, headersTimeoutMs: 1_000, requestTimeoutMs: 2_000, lingerMs: 200 },
    // What is counted together instead of one by one is part of what is tested.
    audit: { strangers: { perSecond: 10, perMinute: 120 } },
    limits: { backoff: { freeFailures: 1_000 } },
  });
  try {
    const deadline = Date.now() + ms;
    const fuzzers = await Promise.all(Array.from({ length: FUZZERS }, (_, i) => makeFuzzer(target, seed, i)));
    const [healthy] = await Promise.all([
      stayHealthy(target, deadline),
      ...fuzzers.map((fuzzer) => fuzz(fuzzer, deadline)),
    ]);
    const failures = [...healthy.failures, ...fuzzers.flatMap(({ account }) => account.failures)];
    const exit = await target.quickstart.stop();
    if (exit !== 0) failures.push(`the gateway ended with ${exit}: ${target.quickstart.gateway.log().slice(-1_500)}`);
    const found: Findings = await judgeLog(target.quickstart, [
      ...fuzzers.map(({ account }) => account),
      healthy.account,
    ]);
    return report({ seed, ms, fuzzers: fuzzers.map(({ account }) => account), healthy, found, failures });
  } finally {
    await target.close();
  }
}

/** Longer than any run. */
const TTL_SECONDS = 3_600;

interface Fuzzer {
  readonly dice: Dice;
  readonly place: Place;
  readonly admin: boolean;
  readonly credentials: Credentials;
  readonly account: Account;
}

async function makeFuzzer(target: AttackTarget, seed: number, i: number): Promise<Fuzzer> {
  const { quickstart } = target;
  const { mcp, admin, ca } = quickstart.gateway.ready;
  const isAdmin = i === FUZZERS - 1;
  const subject = `fuzzer${i}`;
  const audience = isAdmin ? `${admin}/api` : mcp;
  const token = (scopes: readonly string[], more: { audience?: string; ttlSeconds?: number } = {}) =>
    quickstart.token(subject, scopes, {
      audience,
      groups: isAdmin ? ['approvers'] : [],
      ttlSeconds: TTL_SECONDS,
      ...more,
    });
  const approve = ['gatewrit:approvals:read', 'gatewrit:approvals:decide'];
  return {
    dice: new Dice(seed + i * 7_919),
    place: { url: isAdmin ? admin : mcp, ca },
    admin: isAdmin,
    credentials: {
      good: [await token(isAdmin ? approve : SCOPES), await token(['jira:read'])],
      bad: [
        await token(SCOPES, { ttlSeconds: -100 }),
        await token(SCOPES, { audience: 'https://elsewhere.example' }),
        'x',
        '',
      ],
    },
    account: accountOf(subject),
  };
}

async function fuzz(fuzzer: Fuzzer, deadline: number): Promise<void> {
  while (Date.now() < deadline) {
    let connection: RawConnection;
    try {
      connection = await RawConnection.open(fuzzer.place);
    } catch (cause) {
      fuzzer.account.failures.push(`no connection: ${(cause as Error).message}`);
      return;
    }
    try {
      for (let i = 0; i < PER_CONNECTION && connection.open && Date.now() < deadline; i++) {
        if (!(await once(fuzzer, connection))) break;
      }
    } catch (cause) {
      fuzzer.account.failures.push(`the answer is no HTTP: ${(cause as Error).message}`);
    } finally {
      connection.destroy();
    }
  }
}

/** Sends one request. Resolves with whether the connection can be used again. */
async function once({ dice, place, admin, credentials, account }: Fuzzer, connection: RawConnection): Promise<boolean> {
  const request = fuzzRequest(dice, { host: new URL(place.url).host, admin, credentials });
  const { bytes, delivery, verb, framingIsCertain } = request;
  account.requests++;
  if (delivery === 'abandoned' || delivery === 'stalled') {
    account.uncertain += 2;
    // Never nothing at all: that is an idle connection, which may stay.
    connection.send(bytes.subarray(0, 1 + dice.below(bytes.length - 1)));
    if (delivery === 'abandoned') return false;
  } else if (delivery === 'pieces') {
    const at = dice.below(bytes.length);
    connection.send(bytes.subarray(0, at));
    await new Promise((resolve) => setTimeout(resolve, dice.below(10)));
    connection.send(bytes.subarray(at));
  } else connection.send(bytes);
  const ending = await connection.answer(HANG_MS, verb);
  if (ending === 'timeout')
    account.failures.push(
      `no answer in ${HANG_MS} ms (${delivery}, ${bytes.length} bytes): ${bytes.subarray(0, 1_500).toString('latin1')}`,
    );
  if (typeof ending === 'string') {
    account.uncertain += 3;
    return false;
  }
  account.take(ending);
  if (framingIsCertain && delivery !== 'stalled') return ending.headers['connection'] !== 'close';
  // Who knows how many requests these bytes were: whatever else comes is counted too, then the connection is left.
  account.uncertain += 3;
  for (let more = await connection.answer(30); typeof more !== 'string'; more = await connection.answer(30))
    account.take(more);
  return false;
}

interface Healthy {
  readonly account: Account;
  readonly ms: readonly number[];
  readonly failures: readonly string[];
}

/** A client that does everything right, on one connection, all the while. */
async function stayHealthy({ quickstart }: AttackTarget, deadline: number): Promise<Healthy> {
  const account = accountOf('healthy');
  const ms: number[] = [];
  const failures: string[] = [];
  const token = await quickstart.token('healthy', SCOPES, { ttlSeconds: TTL_SECONDS });
  while (Date.now() < deadline) {
    const started = performance.now();
    const answer = await quickstart.gateway.call('witness__write_note', { title: 'still here' }, token);
    ms.push(performance.now() - started);
    account.requests++;
    account.take({
      status: answer.status,
      headers: answer.headers as RawAnswer['headers'],
      body: Buffer.from(answer.text),
    });
    if (answer.status !== 200 || answer.json.result?.['isError'])
      failures.push(`the healthy client was refused: ${answer.status} ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const slowest = Math.max(...ms);
  if (slowest > HEALTHY_MS) failures.push(`the healthy client waited ${Math.round(slowest)} ms`);
  return { account, ms, failures };
}

function report(of: {
  seed: number;
  ms: number;
  fuzzers: readonly Account[];
  healthy: Healthy;
  found: Findings;
  failures: readonly string[];
}): FuzzReport {
  const { seed, ms, fuzzers, healthy, found, failures } = of;
  const byStatus: Record<string, number> = {};
  for (const { statuses } of fuzzers)
    for (const [status, count] of statuses) byStatus[status] = (byStatus[status] ?? 0) + count;
  const sorted = [...healthy.ms].sort((a, b) => a - b);
  return {
    seed,
    seconds: ms / 1000,
    requests: fuzzers.reduce((sum, { requests }) => sum + requests, 0),
    answers: Object.values(byStatus).reduce((sum, count) => sum + count, 0),
    byStatus,
    healthy: {
      calls: sorted.length,
      slowestMs: Math.round(sorted.at(-1) ?? 0),
      p99Ms: Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? 0),
    },
    records: found.records,
    failures: [...failures, ...found.failures],
  };
}
