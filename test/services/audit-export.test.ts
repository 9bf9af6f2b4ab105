import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { auditCommand } from '../../src/inbound/cli/audit/main.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { lastLines, skipped } from './install.ts';

/**
 * What `gatewrit audit export` writes of a real gateway's calls, before judges that share no line with it: the whole
 * published OCSF 1.8.0 schema and the protocol buffers of OpenTelemetry (export-judge/, from PyPI).
 */
const folder = mkdtempSync(join(tmpdir(), 'gatewrit-export-judge-'));
const python = join(folder, 'python/bin/python');
const missing = install();
const CALLS = 40;

function install(): string | null {
  try {
    execFileSync('python3', ['-m', 'venv', join(folder, 'python')], { stdio: 'pipe', timeout: 60_000 });
    const requirements = join(import.meta.dirname, 'export-judge/requirements.txt');
    execFileSync(python, ['-m', 'pip', '-q', 'install', '-r', requirements], { stdio: 'pipe', timeout: 300_000 });
    return null;
  } catch (error) {
    return skipped('the judge of exports in Python', lastLines(error));
  }
}

interface Verdict {
  readonly class?: string;
  readonly wrong: readonly string[];
  readonly names?: readonly string[];
  readonly times?: readonly number[];
}

function judge(cases: readonly object[]): Verdict[] {
  const input = cases.map((one) => `${JSON.stringify(one)}\n`).join('');
  const program = join(import.meta.dirname, 'export-judge/judge.py');
  const out = execFileSync(python, [program], {
    input,
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Verdict);
}

async function exported(home: string, format: string): Promise<Record<string, unknown>[]> {
  const out: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: assert.fail };
  assert.equal(await auditCommand.run(['export', '--format', format, '--home', home], io), 0);
  return out
    .join('')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('exports before independent judges', { skip: missing ?? false }, () => {
  let home: string;
  let quickstart: Quickstart;

  before(async () => {
    quickstart = await Quickstart.start();
    const { gateway } = quickstart;
    home = gateway.home;
    const token = await quickstart.token('alice', ['jira:read']);
    for (let i = 0; i < CALLS; i++) await gateway.call('readonly__jira_search', { jql: 'whiteboard' }, token);
    await gateway.call('readonly__jira_search', { jql: 7 }, token);
    await gateway.call('no__such_tool', {}, token);
    for (let i = 0; i < 15; i++) await gateway.call('readonly__jira_search', {}, null);
    await quickstart.stop();
  });
  after(async () => {
    await quickstart?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('every OCSF event is valid by the whole schema 1.8.0, and the judge refuses one that is not', async () => {
    const events = await exported(home, 'ocsf');
    const verdicts = judge(events.map((event) => ({ ocsf: event })));
    assert.deepEqual(
      verdicts.flatMap(({ wrong }) => wrong),
      [],
    );
    const classes = new Set(verdicts.map((verdict) => verdict.class));
    assert.ok(classes.has('api_activity') && classes.has('authentication'), [...classes].join());
    const [first] = events;
    const bad = judge([{ ocsf: { ...first, surprise: 1 } }, { ocsf: { ...first, time: 'now' } }]);
    assert.ok(bad.every(({ wrong }) => wrong.length > 0));
    console.log(`${events.length} events: ${[...classes].join(', ')}`);
  });

  test('every OTLP request is one by the protocol buffers, strictly; names and times arrive as they were', async () => {
    const requests = await exported(home, 'otlp');
    const verdicts = judge(requests.map((request) => ({ otlp: request })));
    const names = verdicts.flatMap((verdict) => verdict.names ?? []);
    assert.deepEqual(
      verdicts.flatMap(({ wrong }) => wrong),
      [],
    );
    assert.equal(names.length, (await exported(home, 'ocsf')).length);
    assert.ok(names.filter((name) => name === 'gatewrit.audit.outcome').length >= CALLS);
    assert.ok(verdicts.every(({ times }) => times?.every((time) => time > 1.7e18)));
    assert.ok(judge([{ otlp: { ...requests[0], surprise: 1 } }])[0]!.wrong.length > 0);
  });
});
