import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKeyPair, SignJWT } from 'jose';
import { type GatewayProcess, textOf, wordOf } from './gateway.ts';

export interface Step {
  /** What is done and what must come of it, in one line. */
  readonly title: string;
  /** Throws when the promise is not kept; resolves with what was seen. */
  readonly play: () => Promise<string>;
}

const READ = 'postgres:query:readonly s3:list jira:read';
const SQL = { sql: 'SELECT item, amount FROM orders ORDER BY id' };

/** The product's story, told by a client, an attacker and an approver. */
export function story(gateway: GatewayProcess, change: string): Step[] {
  let reader = '';
  let writer = '';
  let approval = '';
  const issue = { title: 'Order a whiteboard', description: 'For the room on the second floor.' };

  const refused = async (token: string | null, status: number) => {
    const answer = await gateway.call('readonly__postgres_query', SQL, token);
    assert.equal(answer.status, status);
    assert.match(String(answer.headers['www-authenticate']), /^Bearer .*resource_metadata="https:/);
    return `${answer.status}, ${token === null ? 'asked for a token' : 'no reason given'}`;
  };

  return [
    {
      title: 'the official SDK client lists the tools a read scope may see',
      play: async () => {
        reader = await gateway.token('alice', READ);
        const client = await gateway.client(reader);
        const { tools } = await client.listTools();
        await client.close();
        const names = tools.map(({ name }) => name);
        assert.ok(names.includes('readonly__postgres_query'));
        return names.join(', ');
      },
    },
    {
      title: 'and calls one; personal data in the answer is replaced by tokens',
      play: async () => {
        const client = await gateway.client(reader);
        const orders = await client.callTool({ name: 'readonly__postgres_query', arguments: SQL });
        assert.match(JSON.stringify(orders.content), /whiteboard/);
        const people = await client.callTool({
          name: 'readonly__postgres_query',
          arguments: { sql: 'SELECT name, email FROM customers' },
        });
        await client.close();
        assert.match(JSON.stringify(people.content), /\[EMAIL:/);
        assert.doesNotMatch(JSON.stringify(people.content), /example\.org/);
        return '5 orders; e-mail addresses left as [EMAIL:…]';
      },
    },
    { title: 'no token: 401', play: () => refused(null, 401) },
    {
      title: 'a forged token: 401',
      play: async () => {
        const { privateKey } = await generateKeyPair('ES256');
        const claims = new SignJWT({ scope: READ, client_id: 'x' }).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' });
        return refused(
          await claims
            .setIssuer(gateway.ready.issuer)
            .setSubject('alice')
            .setAudience(gateway.ready.mcp)
            .setIssuedAt()
            .setExpirationTime('5m')
            .sign(privateKey),
          401,
        );
      },
    },
    {
      title: 'an expired token: 401',
      play: async () => refused(await expiredToken(gateway), 401),
    },
    {
      title: 'a token for another server: 401',
      play: async () => refused(await gateway.token('alice', READ, '--audience', 'https://elsewhere.example/mcp'), 401),
    },
    {
      title: 'bad arguments: refused with the path, never the value',
      play: async () => {
        const answer = await gateway.call('readonly__postgres_query', { sql: 42, secret: 'hunter2' }, reader);
        assert.equal(wordOf(answer), 'INVALID_ARGUMENTS');
        assert.doesNotMatch(answer.text, /hunter2/);
        return textOf(answer).split('.')[0]!;
      },
    },
    {
      title: 'an oversized body: 413',
      play: async () => {
        const answer = await gateway
          .call('readonly__postgres_query', { sql: 'x'.repeat(2 * 1024 * 1024) }, reader)
          .catch(() => null);
        if (answer) assert.equal(answer.status, 413);
        return answer ? '413' : 'connection closed while sending';
      },
    },
    {
      title: 'a tool beyond the scope: 403 naming the scope',
      play: async () => {
        const answer = await gateway.call('destructive__jira_create', issue, reader);
        assert.equal(answer.status, 403);
        assert.match(String(answer.headers['www-authenticate']), /scope="jira:write"/);
        return 'insufficient_scope, scope="jira:write"';
      },
    },
    {
      title: 'a destructive call waits for a person',
      play: async () => {
        writer = await gateway.token('bob', `${READ} jira:write`);
        const answer = await gateway.call('destructive__jira_create', issue, writer);
        assert.equal(wordOf(answer), 'APPROVAL_REQUIRED');
        const meta = answer.json.result?.['_meta'] as Record<string, { id: string }>;
        approval = meta['gatewrit/approval']!.id;
        return `approval ${approval} is open`;
      },
    },
    {
      title: 'the requester himself cannot approve it',
      play: async () => {
        const { code } = await gateway.run('approvals', 'approve', approval, '--as', 'bob');
        assert.equal(code, 1);
        return 'refused';
      },
    },
    {
      title: 'an approver approves from the command line',
      play: async () => {
        const { code, stderr } = await gateway.run(
          'approvals',
          'approve',
          approval,
          '--as',
          'approver1',
          '--reason',
          'budget is there',
        );
        assert.equal(code, 0, stderr);
        return 'approved by approver1';
      },
    },
    {
      title: 'other arguments do not profit from it',
      play: async () => {
        const answer = await gateway.call(
          'destructive__jira_create',
          { ...issue, title: 'Order ten whiteboards' },
          writer,
        );
        assert.equal(wordOf(answer), 'APPROVAL_REQUIRED');
        return 'asked again';
      },
    },
    {
      title: '40 repeats at once run it exactly once',
      play: async () => {
        const answers = await Promise.all(
          Array.from({ length: 40 }, () => gateway.call('destructive__jira_create', issue, writer)),
        );
        const keys = new Set(
          answers
            .filter((answer) => answer.json.result && !answer.json.result['isError'])
            .map((answer) => /PROJ-\d+/.exec(textOf(answer))?.[0]),
        );
        assert.deepEqual([...keys], ['PROJ-1']);
        const found = await gateway.call('readonly__jira_search', { jql: 'whiteboard' }, reader);
        assert.equal((textOf(found).match(/PROJ-/g) ?? []).length, 1);
        return 'PROJ-1, and one issue in the tracker';
      },
    },
    {
      title: 'a burst meets the limit: 429 with Retry-After',
      play: async () => {
        const carol = await gateway.token('carol', READ);
        const answers = await Promise.all(Array.from({ length: 80 }, () => gateway.rpc('tools/list', {}, carol)));
        const limited = answers.filter(({ status }) => status === 429);
        assert.ok(limited.length > 0 && answers.some(({ status }) => status === 200));
        assert.ok(Number(limited[0]!.headers['retry-after']) > 0);
        const other = await gateway.rpc('tools/list', {}, reader);
        assert.equal(other.status, 200);
        return `${limited.length} of 80 refused; another caller is served`;
      },
    },
    {
      title: 'a tool that changed after its review is not served',
      play: async () => {
        writeFileSync(change, '');
        const until = Date.now() + 10_000;
        for (;;) {
          const answer = await gateway.rpc('tools/list', {}, reader);
          const tools = (answer.json.result?.['tools'] ?? []) as { name: string }[];
          if (answer.status === 200 && !tools.some(({ name }) => name === 'readonly__postgres_query')) break;
          assert.ok(Date.now() < until, 'the changed tool is still listed');
          await new Promise((resolve) => setTimeout(resolve, 250));
        }
        const answer = await gateway.call('readonly__postgres_query', SQL, reader);
        assert.equal(answer.json.error?.code, -32602);
        return 'gone from the list, unknown when called';
      },
    },
    {
      title: 'the audit log verifies',
      play: async () => {
        await gateway.stop();
        const folder = logFolder(gateway.home);
        const { code, stdout, stderr } = await gateway.run('audit', 'verify', folder);
        assert.equal(code, 0, stdout + stderr);
        return stdout.trim().split('\n')[0] ?? '';
      },
    },
    {
      title: 'a copy with one flipped byte does not',
      play: async () => {
        const copy = join(gateway.home, 'copy-of-the-log');
        cpSync(logFolder(gateway.home), copy, { recursive: true });
        const before = await gateway.run('audit', 'verify', copy);
        assert.equal(before.code, 0, `the copy itself: ${before.stdout}`);
        const file = largestFile(copy);
        const bytes = readFileSync(file);
        const at = Math.floor(bytes.length / 3);
        bytes[at] = bytes[at]! ^ 1;
        writeFileSync(file, bytes);
        const { code, stdout } = await gateway.run('audit', 'verify', copy);
        assert.equal(code, 1, stdout);
        const finding = stdout.split('\n').find((line) => line.includes('FINDING'));
        assert.ok(finding, stdout);
        return finding.trim();
      },
    },
  ];
}

/** Signed with the development issuer's own key: everything about it is right but its time. */
async function expiredToken(gateway: GatewayProcess): Promise<string> {
  const { mintDevelopmentToken } = await import('../../../src/controls/authentication/index.ts');
  const order = {
    home: gateway.home,
    issuer: gateway.ready.issuer,
    audience: gateway.ready.mcp,
    subject: 'alice',
    scopes: READ.split(' '),
  };
  return mintDevelopmentToken({ ...order, now: Date.now() - 3_600_000, ttlSeconds: 300 });
}

function logFolder(home: string): string {
  const audit = join(home, 'audit');
  return join(audit, readdirSync(audit).find((name) => name !== 'rollup')!);
}

function largestFile(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const sizes = files.map((entry) => ({
    path: join(entry.parentPath, entry.name),
    size: readFileSync(join(entry.parentPath, entry.name)).length,
  }));
  return sizes.sort((a, b) => b.size - a.size)[0]!.path;
}
