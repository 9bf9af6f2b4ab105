import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/client';
import { Quickstart } from '../e2e/quickstart.ts';
import { debian } from './install.ts';

/**
 * slowhttptest holds 1,000 connections as slowly as it can for 50 seconds, in three ways, while a healthy SDK client
 * calls all the time: it has to be served, and the slow ones have to be cut.
 */
const missing = debian('slowhttptest', 'slowhttptest');
const CONNECTIONS = 1_000;
const SECONDS = 50;
/** Reported, not asserted: the machine that runs this may be busy with other things. */
const LATENCY_BOUND_MS = 1_000;

describe('1,000 slow connections', { skip: missing ?? false }, () => {
  let quickstart: Quickstart;
  let token: string;
  let client: Client;

  before(async () => {
    // Long enough for all of them to be there at once, and shorter than the test, so that the cut is seen in it.
    const transport = {
      headersTimeoutMs: 20_000,
      requestTimeoutMs: 21_000,
      bodyTimeoutMs: 20_000,
      writeTimeoutMs: 20_000,
    };
    quickstart = await Quickstart.start({ settings: { transport } });
    token = await quickstart.token('mallory', ['jira:read']);
    client = await quickstart.gateway.client(await quickstart.token('alice', ['jira:read']));
  });
  after(async () => {
    await client?.close();
    await quickstart?.close();
  });

  const call = async () => {
    const started = performance.now();
    const { isError } = await client.callTool({ name: 'readonly__jira_search', arguments: { jql: 'whiteboard' } });
    assert.notEqual(isError, true);
    return performance.now() - started;
  };

  const json = ['-f', 'application/json', '-m', 'application/json, text/event-stream'];
  // slowhttptest has no option for headers of our own; what is handed to it as a cookie is written as it is.
  const withToken = () => ['-j', `a=b\r\nAuthorization: Bearer ${token}`];
  const MODES: readonly Mode[] = [
    { name: 'slow headers', args: () => ['-H', '-i', '1'], cut: true, held: true },
    {
      name: 'slow headers with a good token',
      args: () => ['-H', '-i', '1', '-t', 'POST', ...withToken()],
      cut: true,
      held: true,
    },
    // Without a token no byte of a body is waited for; with one it is, for as long as the settings say.
    { name: 'slow body', args: () => ['-B', '-i', '1', '-s', '8192', ...json], cut: true, held: false },
    {
      name: 'slow body with a good token',
      args: () => ['-B', '-i', '1', '-s', '8192', ...json, ...withToken()],
      cut: true,
      held: true,
    },
    // What is read slowly has left the gateway long before: answers fit into the kernel's buffers, nobody is held up.
    {
      name: 'slow read',
      args: () => ['-X', '-n', '1', '-z', '4', '-w', '16', '-y', '32', '-k', '10'],
      path: '/.well-known/mcp-capabilities',
      cut: false,
      held: true,
    },
  ];

  for (const { name, args, path, cut, held: holds } of MODES) {
    test(`${name}: a healthy client is served throughout${cut ? ', the slow ones are cut' : ''}`, async (t) => {
      const { origin, pathname } = new URL(quickstart.gateway.ready.mcp);
      const { pid } = quickstart.gateway.ready;
      const before = openDescriptors(pid);
      const attack = slow([...args(), '-u', origin + (path ?? pathname)]);
      let over = false;
      const ended = attack.finally(() => {
        over = true;
      });
      const latencies: number[] = [];
      let held = 0;
      while (!over) {
        held = Math.max(held, openDescriptors(pid) - before);
        latencies.push(await call());
        await sleep(20);
      }
      const { seconds, allCut } = await ended;
      latencies.sort((a, b) => a - b);
      const at = (share: number) => Math.round(latencies[Math.floor((latencies.length - 1) * share)]!);
      const late = latencies.filter((ms) => ms > LATENCY_BOUND_MS).length;
      t.diagnostic(
        `${latencies.length} calls served, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${at(1)} ms, ${late} above ${LATENCY_BOUND_MS} ms; ` +
          `${held} slow connections held at once, ${allCut ? `all cut by the gateway after ${seconds} s` : `left alone for ${seconds} s`}`,
      );
      assert.ok(latencies.length >= 20, 'the healthy client was hardly served');
      if (holds) assert.ok(held >= CONNECTIONS * 0.9, `only ${held} connections were held at once`);
      if (cut) assert.ok(allCut, 'slow connections outlived the attack');
      await call();
      await until(() => openDescriptors(pid) <= before + 10, 'the gateway still holds slow connections');
    });
  }
});

interface Mode {
  readonly name: string;
  readonly args: () => string[];
  readonly path?: string;
  /** Whether the gateway has to end most of them before slowhttptest does. */
  readonly cut: boolean;
  /** Whether they are all there at once; else each is answered as soon as it says something. */
  readonly held: boolean;
}

interface Run {
  readonly seconds: number;
  /** All of its connections were ended by the other side before its time was over. */
  readonly allCut: boolean;
}

/** One run, by what it prints. (Its CSV report overflows with a long cookie.) */
function slow(args: readonly string[]): Promise<Run> {
  const common = ['-c', String(CONNECTIONS), '-r', '250', '-l', String(SECONDS), '-p', '3'];
  const options = { timeout: 120_000, maxBuffer: 16 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    execFile('slowhttptest', [...common, ...args], options, (error, stdout, stderr) => {
      const text = stdout.replace(/\x1b\[[0-9;]*[A-Za-z]/g, '');
      const ended = /Test ended on (\d+)th second\s+Exit status:\s+(.*)/.exec(text);
      if (ended) {
        const allCut = ended[2]!.startsWith('No open connections left');
        resolve({ seconds: Number(ended[1]), allCut });
      } else {
        const how = error?.signal ?? error?.code;
        reject(new Error(`slowhttptest did not run (${how}):\n${(text + stderr).slice(-2_000)}`));
      }
    });
  });
}

/** Sockets and files a process holds (Linux). */
function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function until(holds: () => boolean, otherwise: string): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await sleep(100);
  assert.ok(holds(), otherwise);
}
