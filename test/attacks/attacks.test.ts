import assert from 'node:assert/strict';
import { cpSync, existsSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { readVerifiers, verifyLog } from '../../src/controls/audit/index.ts';
import { KNOWN_METHODS } from '../../src/controls/validation/index.ts';
import type { RawAnswer } from '../e2e/raw-http.ts';
import { endings, recordsOf } from '../e2e/recorded.ts';
import { type Case, readAttacks } from './attack.ts';
import { readStarts, tryStart } from './starts.ts';
import { AttackTarget, type Seen } from './target.ts';

const vectors = process.env['GATEWRIT_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors');
const attacks = readAttacks(existsSync(join(vectors, 'json-parsing.json')) ? vectors : null);
const checklist = parse(readFileSync(join(import.meta.dirname, 'checklist.yaml'), 'utf8')) as {
  id: string;
  strategy: string;
  where?: string;
  /** Why it is not here yet. */
  why?: string;
}[];

const SETTINGS = {
  wide: {
    transport: { bodyTimeoutMs: 800, headersTimeoutMs: 800 },
    limits: { backoff: { freeFailures: 1000 } },
    registry: { pageSize: 4, observeEverySeconds: 1 },
  },
  tight: {
    limits: {
      principal: { limit: 5, windowMs: 60_000 },
      backoff: { freeFailures: 3, baseMs: 1_000, capMs: 2_000, forgetMs: 2_500 },
    },
  },
} as const;
type Which = keyof typeof SETTINGS;

const targets = {} as Record<Which, AttackTarget>;
/** What each gateway's log must hold in the end: endings by code, and the code of each call that named its id. */
const expected: Record<Which, { endings: Map<string, number>; calls: Map<string, string> }> = {
  wide: { endings: new Map(), calls: new Map() },
  tight: { endings: new Map(), calls: new Map() },
};
const results = new Map<string, { cases: number; failed: number }>();

before(async () => {
  const start = async (which: Which) => {
    targets[which] = await AttackTarget.start(SETTINGS[which]);
  };
  await Promise.all((Object.keys(SETTINGS) as Which[]).map(start));
});
after(async () => {
  for (const target of Object.values(targets)) await target.close();
  process.stdout.write(table());
  if (process.env['GATEWRIT_UPDATE_ATTACKS']) keepTable();
});

describe('attacks of the hardening checklist', () => {
  for (const { id, attack, cases, skipped } of attacks) {
    test(`${id} ${attack} (${cases.length} cases)`, { skip: skipped ?? false }, async () => {
      const result = results.get(id) ?? { cases: 0, failed: 0 };
      results.set(id, result);
      const failures: string[] = [];
      const kept = new Map<string, string>();
      for (const one of cases) {
        result.cases++;
        try {
          await play(filled(one, kept), kept);
        } catch (error) {
          result.failed++;
          failures.push(`${one.why}: ${(error as Error).message}`);
        }
      }
      assert.deepEqual(failures, []);
    });
  }
});

describe('starts that must be refused', () => {
  for (const { id, attack, cases } of readStarts()) {
    test(`${id} ${attack} (${cases.length} cases)`, async () => {
      const failures: string[] = [];
      for (let at = 0; at < cases.length; at += 2)
        failures.push(...(await Promise.all(cases.slice(at, at + 2).map(tryStart))).filter((fault) => fault !== null));
      results.set(id, { cases: cases.length, failed: failures.length });
      assert.deepEqual(failures, []);
    });
  }
});

test('every method the gateway knows is attacked without a credential (AUTH-01)', () => {
  const attacked = attacks
    .filter(({ id }) => id === 'AUTH-01')
    .flatMap(({ cases }) => cases.map(({ message }) => message?.['method']));
  for (const method of KNOWN_METHODS) assert.ok(attacked.includes(method), method);
});

for (const which of Object.keys(SETTINGS) as Which[]) {
  test(`the ${which} gateway survived and its log holds exactly one record for every request that was answered`, async () => {
    const { quickstart } = targets[which];
    assert.equal(await quickstart.stop(), 0, quickstart.gateway.log().slice(-2_000));
    const verified = await quickstart.gateway.run('audit', 'verify', join(quickstart.gateway.home, 'audit'));
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const records = await recordsOf(quickstart.gateway.home);
    const unsaid = expected[which].endings.get(ANY) ?? 0;
    const surplus = surplusOf(endings(records), expected[which].endings);
    assert.equal(
      Object.values(surplus).reduce((sum, count) => sum + count, 0),
      unsaid,
      `${unsaid} are not said: ${JSON.stringify(surplus)}`,
    );
    assert.ok(
      Object.values(surplus).every((count) => count >= 0),
      `${unsaid} are not said: ${JSON.stringify(surplus)}`,
    );
    const byCall = new Map<string, string[]>();
    for (const { envelope, meta } of records) {
      // An approval that was decided is a record of its own, besides those of the calls it is about.
      if ((envelope.kind !== 'outcome' && envelope.kind !== 'refusal') || !meta?.['call']) continue;
      byCall.set(String(meta['call']), [
        ...(byCall.get(String(meta['call'])) ?? []),
        String(meta['code'] ?? 'answered'),
      ]);
    }
    for (const [call, code] of expected[which].calls) {
      const codes = byCall.get(call) ?? [];
      assert.equal(codes.length, 1, `call ${call} has ${codes.length} records`);
      if (code !== ANY) assert.deepEqual(codes, [code], `call ${call}`);
    }
    for (const { envelope, meta } of records) {
      if (envelope.kind === 'intent')
        assert.notEqual(meta?.['subject'], 'root', 'a borrowed identity was recorded (AZ-08)');
    }
    const none = targets[which].witnessed().every((line) => !/eyJ[\w-]{20,}\.|Bearer|authorization/i.test(line));
    assert.ok(none, 'a credential of a caller reached an upstream (SF-02)');
    holds(['SF-02'], targets[which].witnessed().length);
    const judged = [...expected[which].endings.values()].reduce((sum, count) => sum + count, 0);
    holds(['AUD-01', 'ERR-02'], judged);
  });
}

test('a log that was changed afterwards is reported, whatever was done to it (AUD-02)', async () => {
  const { home } = targets.tight.quickstart.gateway;
  const verifiers = readVerifiers(join(home, 'keys/audit.pub'));
  const harms: Readonly<Record<string, (segment: string, bytes: Buffer) => void>> = {
    'one bit': (segment, bytes) => writeFileSync(segment, bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1)),
    'the end is cut': (segment, bytes) => writeFileSync(segment, bytes.subarray(0, bytes.length * 0.9)),
    'a piece is taken out': (segment, bytes) =>
      writeFileSync(segment, Buffer.concat([bytes.subarray(0, 4_000), bytes.subarray(5_000)])),
    'a piece stands twice': (segment, bytes) =>
      writeFileSync(segment, Buffer.concat([bytes.subarray(0, 5_000), bytes.subarray(4_000)])),
    'the whole file is gone': (segment) => rmSync(segment),
  };
  assert.deepEqual(
    (await verifyLog(join(home, 'audit'), verifiers)).flatMap(({ findings }) => findings),
    [],
  );
  for (const [what, harm] of Object.entries(harms)) {
    const copy = join(home, 'harmed');
    cpSync(join(home, 'audit'), copy, { recursive: true });
    const [segment] = globSync(join(copy, '**/*.seg'));
    harm(segment!, readFileSync(segment!));
    const findings = (await verifyLog(copy, verifiers)).flatMap((report) => report.findings);
    rmSync(copy, { recursive: true });
    assert.ok(findings.length > 0, what);
  }
  holds(['AUD-02'], Object.keys(harms).length);
});

test('nothing that was sent lies in clear in any file of the home, nor in the operator log (PII-03)', () => {
  const { home } = targets.wide.quickstart.gateway;
  // What the witness writes down is the upstream's own, and a signed manifest is a public token.
  const files = globSync('**/*', { cwd: home, exclude: ['witnessed.jsonl', 'answer.json', 'registry/*.jws'] });
  const texts = files
    .filter((name) => statSync(join(home, name)).isFile())
    .map((name): [string, string] => [name, readFileSync(join(home, name), 'latin1')]);
  assert.ok(texts.some(([name]) => name.endsWith('.seg')) && texts.some(([name]) => name.endsWith('gatewrit.db')));
  for (const [name, text] of [
    ...texts,
    ['the log on stderr', targets.wide.quickstart.gateway.log()] as [string, string],
  ]) {
    assert.ok(!text.includes('hunter2'), `an argument lies in ${name}`);
    assert.doesNotMatch(text, /eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}/, `a token lies in ${name}`);
    assert.doesNotMatch(text, /"subject":"writer"/, `a subject lies in ${name}`);
  }
  holds(['PII-03'], texts.length + 1);
});

/** Rows that are asked of every answer or of every file, once it has been found to hold. */
function holds(ids: readonly string[], cases: number): void {
  for (const id of ids) results.set(id, { cases: (results.get(id)?.cases ?? 0) + cases, failed: 0 });
}

async function play(one: Case, kept: Map<string, string>): Promise<void> {
  const which = one.gateway ?? 'wide';
  const target = targets[which];
  if (one.waitMs) await new Promise((resolve) => setTimeout(resolve, one.waitMs));
  if (one.together) return await playTogether(one, one.together);
  const handles: string[] = [];
  for (let i = 1; i < (one.times ?? 1); i++) {
    const seen = await target.attack(one);
    const { status } = told(seen);
    const same = status === one.expect.status && one.expect.record !== 'answered';
    book(which, seen, same || status !== 200 ? (one.expect.record ?? ANY) : '');
    assert.equal(status, one.before, `time ${i}`);
    if (one.handles) handles.push(found(one.handles, seen));
  }
  const seen = await target.attack(one);
  const { record } = one.expect;
  if (record !== 'none') book(which, seen, record === 'answered' ? '' : (record ?? ANY));
  judge(one, seen, target);
  if (one.handles) unguessable([...handles, found(one.handles, seen)]);
  for (const [name, pattern] of Object.entries(one.keep ?? {})) kept.set(name, found(pattern, seen));
}

/** Equal ids at the same time: each must be answered with what it brought and with nothing of another (SS-05). */
async function playTogether(one: Case, count: number): Promise<void> {
  const which = one.gateway ?? 'wide';
  const nonces = Array.from({ length: count }, (_, i) => `nonce-${i}-of-${one.why.length}`);
  const all = await Promise.all(nonces.map((nonce) => targets[which].attack(filled(one, new Map([['nonce', nonce]])))));
  for (const [i, seen] of all.entries()) {
    book(which, seen, '');
    const own = { ...one, expect: { ...one.expect, contains: [`"${nonces[i]}"`], upstream: 'any' as const } };
    judge(own, seen, targets[which]);
  }
}

/** `{name}` of what earlier cases of the attack kept. */
function filled(one: Case, kept: ReadonlyMap<string, string>): Case {
  if (kept.size === 0) return one;
  let text = JSON.stringify(one);
  for (const [name, value] of kept) text = text.replaceAll(`{${name}}`, JSON.stringify(value).slice(1, -1));
  return JSON.parse(text) as Case;
}

function found(pattern: string, { ending }: Seen): string {
  assert.ok(typeof ending === 'object', `there is no answer to find ${pattern} in`);
  const head = Object.entries(ending.headers).map(([name, value]) => `${name}: ${value}\n`);
  const text = `${head.join('')}\n${ending.body}`;
  const value = new RegExp(pattern).exec(text)?.[1];
  assert.ok(value !== undefined, `${pattern} is not in ${text.slice(0, 800)}`);
  return value;
}

/** Handles that leave the process: header-safe, all different, in no order, and 128 bits of them no two have in common. */
function unguessable(handles: readonly string[]): void {
  assert.equal(new Set(handles).size, handles.length, 'a handle was given out twice');
  for (const handle of handles) assert.match(handle, /^[\x21-\x7e]{22,2048}$/);
  const rises = handles.filter((handle, i) => i > 0 && handle > handles[i - 1]!).length;
  assert.ok(rises > handles.length / 4 && rises < (handles.length * 3) / 4, `${rises} of ${handles.length} rise`);
  // What is the same in all says nothing; of the rest, the entropy of each place is summed.
  let bits = 0;
  for (let at = 0; at < Math.min(...handles.map((handle) => handle.length)); at++) {
    const counts = Map.groupBy(handles, (handle) => handle[at]);
    for (const { length } of counts.values()) bits -= (length / handles.length) * Math.log2(length / handles.length);
  }
  assert.ok(bits >= 128, `only ${Math.round(bits)} bits differ`);
}

/** A case of a corpus does not say which code it ends with; it must leave one record all the same. */
const ANY = '*';

/** Records beyond those that cases expect by their code. */
function surplusOf(found: ReadonlyMap<string, number>, wanted: ReadonlyMap<string, number>): Record<string, number> {
  const codes = new Set([...found.keys(), ...wanted.keys()]);
  codes.delete(ANY);
  const counts = [...codes].map((code): [string, number] => [
    code || 'answered',
    (found.get(code) ?? 0) - (wanted.get(code) ?? 0),
  ]);
  return Object.fromEntries(counts.filter(([, count]) => count !== 0).sort());
}

function book(which: Which, seen: Seen, code: string): void {
  const { endings: counts, calls } = expected[which];
  counts.set(code, (counts.get(code) ?? 0) + 1);
  const { call } = told(seen);
  if (call !== '') calls.set(call, code === '' ? 'answered' : code);
}

interface Told {
  readonly status: number | string;
  readonly rpc: number | undefined;
  readonly code: string;
  /** Correlation id, '' when the answer names none. */
  readonly call: string;
  readonly text: string;
}

function told({ ending }: Seen): Told {
  if (typeof ending === 'string') return { status: ending, rpc: undefined, code: '', call: '', text: '' };
  const text = ending.body.toString();
  const json = (/^\s*\{/.test(text) ? JSON.parse(text) : {}) as {
    error?: { code?: number | string; data?: Record<string, string>; correlationId?: string };
    result?: { _meta?: Record<string, string> };
  };
  const { error, result } = json;
  const rest = typeof error?.code === 'string' ? error : null;
  return {
    status: ending.status,
    rpc: typeof error?.code === 'number' ? error.code : undefined,
    code: String(rest?.code ?? error?.data?.['code'] ?? result?._meta?.['gatewrit/code'] ?? ''),
    call: String(
      rest?.correlationId ?? error?.data?.['correlationId'] ?? result?._meta?.['gatewrit/correlationId'] ?? '',
    ),
    text,
  };
}

function judge({ expect }: Pick<Case, 'expect'>, seen: Seen, target: AttackTarget): void {
  const { status, rpc, code, text } = told(seen);
  const shown = `${status} ${text.slice(0, 300)}`;
  if (expect.status !== undefined) assert.equal(status, expect.status, shown);
  if (expect.word != null) assert.equal(code, expect.word, shown);
  if (expect.rpc != null) assert.equal(rpc, expect.rpc, shown);
  const upstream = expect.upstream ?? 'still';
  if (upstream !== 'any')
    assert.equal(seen.reached.length, upstream === 'moves' ? 1 : 0, `the upstream received ${seen.reached.join('')}`);
  if (expect.arrives !== undefined)
    assert.ok(seen.reached.join('\n').includes(expect.arrives), `${seen.reached.join('\n')}`);
  const { mcp, admin } = target.quickstart.gateway.ready;
  const fill = (piece: string) => piece.replaceAll('{mcp}', mcp).replaceAll('{admin}', admin);
  for (const piece of expect.contains ?? []) assert.ok(text.includes(fill(piece)), `${fill(piece)} is not in ${shown}`);
  for (const piece of expect.lacks ?? []) assert.ok(!text.includes(fill(piece)), `${piece} is in ${shown}`);
  if (expect.log !== undefined) assert.match(target.quickstart.gateway.log(), new RegExp(expect.log));
  if (expect.withinMs !== undefined) assert.ok(seen.ms <= expect.withinMs, `it took ${Math.round(seen.ms)} ms`);
  if (expect.closes != null) assert.equal(seen.closed, expect.closes, 'the connection stayed open');
  if (typeof seen.ending === 'string') return;
  const { headers } = seen.ending;
  for (const [name, pattern] of Object.entries(expect.headers ?? {}))
    assert.match(headers[name] ?? '', new RegExp(fill(pattern)), name);
  for (const name of expect.without ?? []) assert.equal(headers[name], undefined, name);
  tellsNothing(seen.ending, target);
}

/** Of every answer: strict transport, no banner, nothing of our inside (ERR-02). */
function tellsNothing({ headers, body }: RawAnswer, target: AttackTarget): void {
  assert.match(headers['strict-transport-security'] ?? '', /max-age=\d{8}/);
  for (const name of ['server', 'x-powered-by', 'via']) assert.equal(headers[name], undefined, `header ${name}`);
  const text = body.toString();
  assert.doesNotMatch(text, /\n\s+at |node:internal|\.ts:\d+|SQLITE|undici|ERR_[A-Z]/);
  for (const secret of [target.quickstart.gateway.home, process.cwd()])
    assert.ok(!text.includes(secret), 'a path stands in the answer');
}

/** Writes the table into the page that shows it. */
function keepTable(): void {
  const page = join(import.meta.dirname, '../../docs/attacks.md');
  const [head] = readFileSync(page, 'utf8').split('<!-- table -->');
  writeFileSync(page, `${head}<!-- table -->\n\`\`\`text\n${table().trim()}\n\`\`\`\n`);
}

function table(): string {
  const lines = checklist.map(({ id, strategy, where, why }) => {
    const result = results.get(id);
    const state = result
      ? result.failed === 0
        ? 'passing'
        : `${result.failed} FAILED`
      : where
        ? 'elsewhere'
        : 'not yet';
    return `${id.padEnd(8)} ${state.padEnd(10)} ${String(result?.cases ?? '').padStart(5)}  ${strategy}${!result && (where ?? why) ? ` (${where ?? why})` : ''}`;
  });
  const covered = checklist.filter(({ id }) => results.has(id));
  const passing = covered.filter(({ id }) => results.get(id)!.failed === 0);
  const elsewhere = checklist.filter(({ id, where }) => !results.has(id) && where);
  const asked = new Set(['AUD-01', 'SF-02', 'ERR-02', 'PII-03']);
  const cases = [...results].reduce((sum, [id, result]) => sum + (asked.has(id) ? 0 : result.cases), 0);
  const notYet = checklist.length - covered.length - elsewhere.length;
  const closing = `${covered.length} of ${checklist.length} covered with ${cases} cases, ${passing.length} passing, ${elsewhere.length} tested elsewhere, ${notYet} not yet`;
  return `\n${'id'.padEnd(8)} ${'state'.padEnd(10)} cases  strategy\n${lines.join('\n')}\n${closing}\n\n`;
}
