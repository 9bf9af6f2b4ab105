import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openAuthorization, principalOf, targetOf } from '../../src/controls/authorization/index.ts';
import { auditCommand } from '../../src/inbound/cli/audit/main.ts';
import { policyCommand } from '../../src/inbound/cli/policy.ts';
import { Quickstart } from './quickstart.ts';
import { recordsOf } from './recorded.ts';

/** Three controls in observe mode, then a policy drafted from what was seen. Nobody switches strictness on blind. */
let quickstart: Quickstart;
const NO_ROADMAP = `@id("no-roadmap") @public("Not the roadmap.")
forbid (principal, action == Action::"call_tool", resource == Target::"internal-readonly/jira_search")
when { context.arguments has jql && context.arguments.jql like "*roadmap*" };
`;
const SOMEBODY = { client: 'client', tenant: 'default', groups: [], proof: 'bearer' as const, actors: [] };
const READING = { kind: 'tool', effect: 'read', tenant: 'default' } as const;
const SECRET = 'AKIAIOSFODNN7EXAMPLE';

before(async () => {
  const mode = { mode: 'observe' };
  quickstart = await Quickstart.start({
    settings: { authorization: mode, validation: mode, redaction: mode },
    policy: { '40-no-roadmap.cedar': NO_ROADMAP },
  });
});
after(() => quickstart?.close());

async function call(subject: string, scopes: readonly string[], jql: string, more: object = {}): Promise<void> {
  const token = await quickstart.token(subject, scopes);
  const answer = await quickstart.gateway.call('readonly__jira_search', { jql, ...more }, token);
  assert.equal(answer.status, 200, JSON.stringify(answer));
}

async function cli(command: typeof policyCommand, ...argv: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
  const code = await command.run([...argv, '--home', quickstart.gateway.home], io);
  return { code, out: out.join(''), err: err.join('') };
}

test('in observe mode what would have been refused goes through, and each record says by which control', async () => {
  await call('alice', ['jira:read'], 'whiteboard');
  await call('bob', ['s3:list'], 'whiteboard');
  await call('alice', ['jira:read'], 'roadmap');
  await call('alice', ['jira:read'], 'whiteboard', { unknown: true });
  await call('alice', ['jira:read'], SECRET);
  await quickstart.stop();
  const intents = (await recordsOf(quickstart.gateway.home)).filter(({ envelope }) => envelope.kind === 'intent');
  assert.deepEqual(
    intents.map(({ meta }) => meta?.['would_refuse']),
    [
      undefined,
      'authorization.insufficient_scope',
      'authorization.denied',
      'validation.arguments',
      'redaction.blocked',
    ],
  );
  assert.match(JSON.stringify(intents[0]!.meta?.['weak']), /authorization.mode.*validation.mode.*redaction.mode/);
  assert.match((await cli(auditCommand, 'list')).out, /would_refuse=validation\.arguments/);
});

test('policy draft permits what was seen and nothing else, and says what it leaves out', async () => {
  const { home } = quickstart.gateway;
  const file = join(home, 'draft.cedar');
  const { code, err } = await cli(policyCommand, 'draft', '--out', file);
  assert.equal(code, 0, err);
  for (const line of [
    'authorization.insufficient_scope 1 time',
    'authorization.denied 1 time',
    'validation.arguments 1 time',
    'redaction.blocked 1 time',
  ])
    assert.ok(err.includes(`would have been refused: ${line}\n`), err);
  const text = readFileSync(file, 'utf8');
  assert.match(text, /\/\/ bob lacked a scope in 1 call/);
  assert.match(text, /\/\/ alice: 1 call denied by no-roadmap/);
  assert.equal((await cli(policyCommand, 'draft', '--out', file)).code, 2, 'a file that is there stays');

  const folder = join(home, 'drafted', 'policy');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'scopes.yaml'), readFileSync(join(home, 'policy', 'scopes.yaml')));
  writeFileSync(join(folder, 'draft.cedar'), text);
  const now = { utc: Date.now(), mono: 0 };
  const settings = { mode: 'enforce', deadlineMs: 10_000, cacheEntries: 10 } as const;
  const authorization = await openAuthorization({ settings, folder, now: () => now });
  const issuer = new URL(quickstart.gateway.ready.issuer).href;
  const sees = (subject: string, scopes: string[], name: string) =>
    [issuer, issuer.replace(/\/$/, '')].map((from) =>
      authorization.visible(
        principalOf({ ...SOMEBODY, subject, scopes, issuer: from }),
        targetOf({ ...READING, server: 'internal-readonly', name, scopes: ['jira:read'] }),
      ),
    );
  assert.ok(sees('alice', ['jira:read'], 'jira_search').includes('allowed'));
  assert.ok(sees('bob', ['s3:list'], 'jira_search').includes('reachable'), 'his scope is missing, as before');
  assert.ok(
    sees('carol', ['jira:read'], 'jira_search').every((one) => one === 'hidden'),
    'she was never seen',
  );
  assert.ok(
    sees('alice', ['jira:read'], 's3_list').every((one) => one === 'hidden'),
    'nobody was seen there',
  );
  authorization.close();
});

test('a log without calls drafts nothing and says so', async () => {
  const { home } = quickstart.gateway;
  rmSync(join(home, 'audit'), { recursive: true });
  const { code, err } = await cli(policyCommand, 'draft');
  assert.deepEqual([code, err], [1, 'gatewrit policy: the audit log holds no call yet\n']);
});
