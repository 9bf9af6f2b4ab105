import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Decision, Principal, Target } from '../../core/call.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { Refusal } from '../../core/stage.ts';
import { openAuthorization } from './authorization.ts';
import { writeDefaultPolicy } from './defaults.ts';
import { authorizationOf, decide, frozen, policyFolder, principal, see, target, USE } from './policy-kit.test.ts';
import { authorizationSettings } from './settings.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const settings = authorizationSettings.parse({});
const codeOf = (found: unknown) => (found instanceof Refusal ? found.code : 'allowed');

const HIDE_MAIL = '@id("no-mail") forbid (principal, action, resource in Server::"mail");';
const NO_DROP = `@id("no-drop") @public("DROP is not open.") @path("/sql")
forbid (principal, action == Action::"call_tool", resource)
when { context.arguments has sql && context.arguments.sql like "*drop*" };`;

test('a hidden name and a name that does not exist get the same refusal, for every method and whatever the token holds', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE + HIDE_MAIL });
  for (const [kind, method] of [
    ['tool', 'tools/call'],
    ['prompt', 'prompts/get'],
    ['resource', 'resources/read'],
  ] as const) {
    for (const scopes of [[], ['mail:send'], ['mail:send', 'files:read', 'files:write']]) {
      const who = principal({ scopes });
      const hidden = see(
        authorization,
        who,
        target({ server: 'mail', name: 'send', kind, scopes: ['mail:send'] }),
        method,
      );
      const nothing = see(authorization, who, null, method);
      assert.ok(hidden instanceof Refusal && hidden.code === 'authorization.unknown');
      assert.deepEqual(hidden, nothing);
      assert.deepEqual(Object.keys((hidden as Refusal).facts), []);
    }
  }
});

test('hidden and nonexistent take the same time, also after a list or an earlier try', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE + HIDE_MAIL });
  const who = principal({ scopes: ['files:read'] });
  const secret = target({ server: 'mail', name: 'send', scopes: ['mail:send'] });
  assert.equal(authorization.visible(who, secret), 'hidden');
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < 300; i++) {
    for (const [side, what] of [secret, null].entries()) {
      const begun = performance.now();
      see(authorization, who, what);
      times[side]!.push(performance.now() - begun);
    }
  }
  const [hidden, nothing] = times.map((list) => list.sort((a, b) => a - b)[list.length >> 1]!) as [number, number];
  assert.ok(hidden / nothing > 0.6 && hidden / nothing < 1.7, `medians ${hidden} and ${nothing} ms`);
  assert.ok(nothing > 0.02, 'both are judged, neither is remembered');
});

test('a target that only lacks scopes is listed, passes the first stage, and is answered with every scope it needs', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE });
  const who = principal({ scopes: ['files:read'] });
  const both = target({ scopes: ['files:read', 'files:write'] });
  assert.equal(authorization.visible(who, both), 'reachable');
  assert.equal(see(authorization, who, both), both);
  const refusal = decide(authorization, who, both) as Refusal;
  assert.equal(refusal.code, 'authorization.insufficient_scope');
  assert.deepEqual(refusal.facts.scopes, ['files:read', 'files:write']);
});

test('a denial tells the public text and the path of its rule, never a value', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE + NO_DROP });
  const refusal = decide(
    authorization,
    principal({ scopes: ['files:read'] }),
    target(),
    '{"sql":"drop canary-4711"}',
  ) as Refusal;
  assert.equal(refusal.code, 'authorization.denied');
  assert.equal(refusal.facts.text, 'DROP is not open.');
  assert.equal(refusal.facts.path, '/sql');
  assert.match(refusal.facts.evidence!, /forbidden by no-drop/);
  assert.doesNotMatch(JSON.stringify(refusal), /4711/);
});

test('an evaluation error denies, names the rule in the evidence and is not remembered', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE + NO_DROP });
  const who = principal({ scopes: ['files:read'] });
  const first = decide(authorization, who, target(), '{"sql":{"canary":4711}}') as Refusal;
  assert.equal(first.code, 'authorization.unavailable');
  assert.match(first.facts.evidence!, /no-drop/);
  assert.doesNotMatch(
    String(first.facts.evidence) + String(first.facts.text) + String(first.facts.path),
    /canary|4711/,
  );
  assert.notEqual(decide(authorization, who, target(), '{"sql":{"canary":4711}}'), first);
});

test('text that is not well-formed Unicode cannot be judged, so it is refused', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE + NO_DROP });
  const found = decide(authorization, principal({ scopes: ['files:read'] }), target(), '{"sql":"\\ud800"}');
  assert.equal(codeOf(found), 'authorization.unavailable');
  assert.equal(
    codeOf(see(authorization, principal({ groups: ['\ud800'], scopes: ['files:read'] }), target())),
    'authorization.unknown',
  );
});

test('a judgement past its deadline is thrown away', async () => {
  let mono = 0;
  const now = () => {
    mono += 200;
    return { utc: 0, mono };
  };
  const slow = await authorizationOf({ 'a.cedar': USE }, { now, settings: { deadlineMs: 199 } });
  assert.equal(codeOf(decide(slow, principal({ scopes: ['files:read'] }), target())), 'authorization.unavailable');
  const inTime = await authorizationOf({ 'a.cedar': USE }, { now, settings: { deadlineMs: 200 } });
  assert.equal(codeOf(decide(inTime, principal({ scopes: ['files:read'] }), target())), 'allowed');
});

test('a fault in visibility hides the target, tells the operator, and looks like a name that does not exist', async () => {
  const reported: string[] = [];
  const faulty =
    '@id("asks-about-nobody") permit (principal, action, resource) when { Target::"x/y".effect == "read" };';
  const authorization = await authorizationOf(
    { 'a.cedar': USE + faulty },
    { report: (fault) => reported.push(fault.message) },
  );
  const who = principal({ scopes: ['files:read'] });
  assert.deepEqual(see(authorization, who, target()), see(authorization, who, null));
  assert.equal(authorization.visible(who, target()), 'hidden');
  assert.match(reported[0]!, /asks-about-nobody/);
});

test('observe lets a call through that lacks scopes or is denied, and says what it would have answered', async () => {
  const approval =
    '@id("ask") @obligation("approval") permit (principal, action, resource) when { resource.effect == "destructive" };';
  const files = { 'a.cedar': USE + HIDE_MAIL + NO_DROP + approval };
  const observe = await authorizationOf(files, { settings: { mode: 'observe' } });
  const who = principal({ scopes: ['files:read'] });
  const denied = decide(observe, who, target({ effect: 'destructive' }), '{"sql":"drop"}') as Decision;
  assert.deepEqual(
    [denied.wouldRefuse, denied.obligations.approval, denied.rules],
    ['authorization.denied', 'ask', ['no-drop', 'ask']],
  );
  const lacking = decide(observe, who, target({ scopes: ['files:write'] })) as Decision;
  assert.equal(lacking.wouldRefuse, 'authorization.insufficient_scope');
  assert.equal((decide(observe, who, target()) as Decision).wouldRefuse, null);
  assert.equal(observe.mode, 'observe');
});

test('observe never opens what is hidden, faulty, administrative or of another tenant', async () => {
  const observe = await authorizationOf({ 'a.cedar': USE + HIDE_MAIL + NO_DROP }, { settings: { mode: 'observe' } });
  const who = principal({ scopes: ['files:read'] });
  assert.equal(codeOf(see(observe, who, target({ server: 'mail' }))), 'authorization.unknown');
  assert.equal(codeOf(decide(observe, who, target(), '{"sql":1}')), 'authorization.unavailable');
  const admin = target({ server: 'gatewrit', name: 'approvals.approve', kind: 'admin', scopes: ['files:write'] });
  assert.equal(codeOf(decide(observe, who, admin)), 'authorization.insufficient_scope');
  assert.equal(codeOf(decide(observe, who, target({ tenant: 'other' }))), 'authorization.denied');
});

test('a policy that is broken at the start refuses the start, with file and reason', async () => {
  const broken: [Record<string, string>, RegExp][] = [
    [{ 'a.cedar': 'permit (principal' }, /a\.cedar:1/],
    [{ 'a.cedar': USE.replace('resource.scopes)', 'resource.scops)') }, /a\.cedar:1: .*scops/],
    [{ 'scopes.yaml': 'format: 1\nscopes: {jira: {}}\n' }, /scopes\.yaml/],
    [{ 'a.cedar.bak': USE }, /a\.cedar\.bak/],
  ];
  for (const [files, reason] of broken) {
    const opening = openAuthorization({ settings, folder: policyFolder(files), now: frozen });
    await assert.rejects(opening, (error: Error) => error instanceof SettingsError && reason.test(error.message));
  }
  const missing = join(policyFolder({}), 'missing');
  await assert.rejects(openAuthorization({ settings, folder: missing, now: frozen }), /missing.*gatewrit init/);
});

test('a policy that is broken at reload leaves the old one whole, catalogue and version included', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE });
  const who = principal({ scopes: ['files:read'] });
  const { version } = authorization;
  const before = decide(authorization, who, target());
  writeFileSync(join(authorization.folder, 'scopes.yaml'), 'format: 1\nscopes: {}\n');
  writeFileSync(join(authorization.folder, 'a.cedar'), 'permit (principal');
  await assert.rejects(authorization.reload(), /a\.cedar:1/);
  assert.equal(authorization.version, version);
  assert.equal(authorization.catalogue.accepts(['files:read']), null);
  assert.equal(decide(authorization, who, target()), before);
});

test('a reload changes scopes and rules together, and nothing remembered outlives it', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE });
  const who = principal({ scopes: ['files:read'] });
  const before = decide(authorization, who, target()) as Decision;
  assert.equal(authorization.visible(who, target()), 'allowed');
  writeFileSync(join(authorization.folder, 'a.cedar'), '');
  const [first, second] = [authorization.reload(), authorization.reload()];
  await Promise.all([first, second]);
  assert.notEqual(authorization.version, before.policy);
  assert.equal(authorization.visible(who, target()), 'hidden');
  assert.equal(codeOf(see(authorization, who, target())), 'authorization.unknown');
  assert.equal(codeOf(decide(authorization, who, target())), 'authorization.denied');
});

test('after close everybody is refused, also who was remembered', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE });
  const who = principal({ scopes: ['files:read'] });
  assert.equal(codeOf(decide(authorization, who, target())), 'allowed');
  authorization.close();
  for (const what of [target(), target({ name: 'never asked before' })]) {
    assert.equal(codeOf(decide(authorization, who, what)), 'authorization.unavailable');
    assert.equal(codeOf(see(authorization, who, what)), 'authorization.unknown');
  }
});

test('a remembered answer is never another principal’s, tenant’s, target’s, argument’s or policy’s', async () => {
  // What the two policies below decide, written a second time without an engine.
  const model = (policy: 'open' | 'closed', who: Principal, what: Target, sql: string | null) => {
    if (who.tenant !== what.tenant) return 'authorization.denied';
    const forbidden = (policy === 'closed' && !who.groups.includes('g')) || sql?.includes('drop');
    if (forbidden) return 'authorization.denied';
    return what.scopes.every((scope) => who.scopes.includes(scope)) ? 'allowed' : 'authorization.insufficient_scope';
  };
  const files = {
    open: USE + NO_DROP,
    closed: `${USE}${NO_DROP}@id("g") forbid (principal, action, resource) unless { principal in Group::"g" };`,
  };
  const some = fc.constantFrom;
  const question = fc.record({
    who: fc.record({
      subject: some('a', 'b'),
      tenant: some('t', 'u'),
      scopes: some<string[]>([], ['files:read'], ['files:write'], ['files:read', 'files:write']),
      groups: some<string[]>([], ['g'], ['constructor']),
    }),
    what: fc.record({
      tenant: some('t', 'u'),
      name: some('x', 'y'),
      scopes: some<string[]>(['files:read'], ['files:write']),
    }),
    sql: some(null, 'select', 'drop'),
  });
  const step = fc.oneof(
    { weight: 40, arbitrary: question },
    { weight: 1, arbitrary: some('open' as const, 'closed' as const) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 60, maxLength: 120 }),
      some(2, 8, 1000),
      async (steps, cacheEntries) => {
        const authorization = await authorizationOf({ 'a.cedar': files.open }, { settings: { cacheEntries } });
        let policy: 'open' | 'closed' = 'open';
        for (const one of steps) {
          if (typeof one === 'string') {
            policy = one;
            writeFileSync(join(authorization.folder, 'a.cedar'), files[policy]);
            await authorization.reload();
            continue;
          }
          const [who, what] = [principal(one.who), target(one.what)];
          const json = one.sql === null ? '{}' : JSON.stringify({ sql: one.sql });
          const found = decide(authorization, who, what, json);
          assert.equal(codeOf(found), model(policy, who, what, one.sql));
          if (!(found instanceof Refusal)) assert.equal((found as Decision).policy, authorization.version);
        }
        authorization.close();
      },
    ),
    { numRuns: 6 * scale },
  );
});

test('more targets with rules of their own than slices are kept for are judged the same', async () => {
  const numbers = Array.from({ length: 300 }, (_, i) => i);
  const own = numbers.map(
    (i) =>
      `@id("only-${i}") permit (principal, action, resource == Target::"files/t${i}") when { principal.scopes.contains("files:read") };`,
  );
  const ask =
    '@id("ask") @obligation("approval") permit (principal, action, resource) when { resource.effect == "destructive" };';
  const authorization = await authorizationOf({ 'a.cedar': own.join('\n') + ask });
  const reader = principal({ scopes: ['files:read'] });
  for (const i of numbers) {
    const found = decide(authorization, reader, target({ name: `t${i}`, effect: 'destructive' })) as Decision;
    assert.deepEqual([found.rules, found.obligations.approval], [[`only-${i}`, 'ask'], 'ask']);
    assert.equal(authorization.visible(principal(), target({ name: `t${i}` })), 'reachable');
    assert.equal(authorization.visible(reader, target({ name: `u${i}`, effect: 'destructive' })), 'hidden');
  }
});

test('arguments are part of the key only where a rule that may apply reads them, time is never remembered', async () => {
  const night =
    '@id("night") forbid (principal, action, resource) when { resource.name == "write" && context.now.toTime() < duration("6h") };';
  const onlyList = NO_DROP.replace('resource)', 'resource == Target::"files/list")');
  const authorization = await authorizationOf({ 'a.cedar': USE + onlyList + night });
  const who = principal({ scopes: ['files:read'] });
  const same = (what: Target) =>
    decide(authorization, who, what, '{"sql":"a"}') === decide(authorization, who, what, '{"sql":"b"}');
  assert.equal(same(target({ name: 'other' })), true);
  assert.equal(same(target({ name: 'list' })), false);
  const at = (hour: number) =>
    decide(authorization, who, target({ name: 'write' }), '{}', { utc: Date.UTC(2026, 0, 1, hour), mono: 0 });
  assert.deepEqual([at(7), at(5), at(7)].map(codeOf), ['allowed', 'authorization.denied', 'allowed']);
});

test('a remembered decision is a plain, frozen value and costs at most a microsecond', async () => {
  const authorization = await authorizationOf({ 'a.cedar': USE + NO_DROP });
  const [who, what] = [principal({ scopes: ['files:read'] }), target()];
  const call = {
    principal: who,
    target: what,
    arguments: { view: {}, digest: 'd'.repeat(43), bytes: () => Buffer.alloc(0) },
  } as never;
  const now = frozen();
  const decision = authorization.stages.decide.run(call, now) as Decision;
  assert.equal(decision instanceof Promise, false);
  assert.ok(Object.isFrozen(decision) && Object.isFrozen(decision.rules) && Object.isFrozen(decision.obligations));
  const rounds = Array.from({ length: 9 }, () => {
    const begun = performance.now();
    for (let i = 0; i < 20_000; i++) authorization.stages.decide.run(call, now);
    return (performance.now() - begun) / 20;
  });
  assert.ok(Math.min(...rounds) <= 1, `${Math.min(...rounds)} µs`);
});

test('default files are written where no policy is, open and load, and never come back or overwrite', async () => {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-default-'));
  try {
    for (const quickstart of [true, false]) {
      const folder = join(home, String(quickstart));
      const written = await writeDefaultPolicy(folder, { quickstart });
      assert.deepEqual(written.sort(), readdirSync(folder).sort());
      const authorization = await openAuthorization({ settings, folder, now: frozen });
      assert.equal(authorization.catalogue.accepts(['jira:write', 'everything:use']) === null, quickstart);
      assert.equal(authorization.catalogue.accepts(['gatewrit:approvals:read', 'gatewrit:approvals:decide']), null);
      const approve = target({
        server: 'gatewrit',
        name: 'approvals.approve',
        kind: 'admin',
        scopes: ['gatewrit:approvals:decide'],
      });
      assert.equal(authorization.visible(principal({ groups: ['approvers'] }), approve), 'allowed');
      const list = target({ scopes: ['s3:list'] });
      assert.equal(authorization.visible(principal({ scopes: ['s3:list'] }), list), quickstart ? 'allowed' : 'hidden');
      rmSync(join(folder, '10-use.cedar'));
      writeFileSync(join(folder, '20-approval.cedar'), '// mine');
      assert.deepEqual(await writeDefaultPolicy(folder, { quickstart: true }), []);
      assert.equal(readdirSync(folder).includes('10-use.cedar'), false);
      assert.equal(readFileSync(join(folder, '20-approval.cedar'), 'utf8'), '// mine');
    }
  } finally {
    rmSync(home, { recursive: true });
  }
});

/** Decides about a task of a call, as the stage does. */
function decideTask(
  authorization: Awaited<ReturnType<typeof authorizationOf>>,
  duties: { redaction?: string | null; maxResultBytes?: number | null } = {},
  now = frozen(),
) {
  const task = { id: 't', obligations: { redaction: null, maxResultBytes: null, ...duties } };
  const who = principal({ scopes: ['files:read'] });
  const call = {
    ...{ principal: who, message: { method: 'tasks/get' }, target: target() },
    ...{ candidate: { target: target(), task }, arguments: { view: { taskId: 't' }, digest: 'd' } },
  };
  return authorization.stages.decide.run(call as never, now) as Decision | Refusal;
}

test('a task is judged by everything but the arguments of its call, which were judged when it began', async () => {
  const narrow = `@id("narrow") permit (principal, action, resource) when {
    principal.scopes.containsAll(resource.scopes) && context.arguments has sql && context.arguments.sql like "select *" };`;
  const cap = `@id("cap-drops") @obligation("cap") @bytes("10") permit (principal, action, resource)
    when { context.arguments has sql };
    @id("cap-all") @obligation("cap") @bytes("500") permit (principal, action, resource);`;
  const authorization = await authorizationOf({ 'a.cedar': narrow + NO_DROP + cap });
  const who = principal({ scopes: ['files:read'] });
  assert.equal(codeOf(decide(authorization, who, target(), '{}')), 'authorization.denied');
  assert.equal(codeOf(decide(authorization, who, target(), '{"sql":"select drop"}')), 'authorization.denied');
  const left = decideTask(authorization) as Decision;
  assert.equal(left.obligations.maxResultBytes, 500, codeOf(left));
  assert.equal((decideTask(authorization, { maxResultBytes: 10 }) as Decision).obligations.maxResultBytes, 10);
  assert.equal((decideTask(authorization, { maxResultBytes: 900 }) as Decision).obligations.maxResultBytes, 500);
  assert.equal((decideTask(authorization) as Decision).obligations.maxResultBytes, 500, 'remembered without duties');
  assert.equal(
    codeOf(authorization.decideTask(principal(), target(), { id: 't', obligations: left.obligations }, frozen())),
    'authorization.insufficient_scope',
  );
});

test('time and revoked rules hold for a task; a profile of then and another of now cannot both be met', async () => {
  const hours = '@id("late") forbid (principal, action, resource) when { context.now > datetime("2026-06-01") };';
  const profile = '@id("strict") @obligation("redaction") @profile("strict") permit (principal, action, resource);';
  const authorization = await authorizationOf({ 'a.cedar': USE + NO_DROP + hours + profile });
  assert.equal(codeOf(decideTask(authorization)), 'allowed');
  const late = { utc: Date.UTC(2026, 7, 1), mono: 1 };
  assert.equal(codeOf(decideTask(authorization, {}, late)), 'authorization.denied');
  assert.equal((decideTask(authorization, { redaction: 'strict' }) as Decision).obligations.redaction, 'strict');
  assert.equal(codeOf(decideTask(authorization, { redaction: 'none' })), 'authorization.unavailable');
});
