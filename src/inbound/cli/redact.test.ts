import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { redactCommand } from './redact.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-redact-'));
after(() => rmSync(folder, { recursive: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await redactCommand.run(argv, { stdout: (text) => (out += text), stderr: (text) => (err += text) });
  return { code, out, err };
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('what is found is told by type, rule, action and path, never by value', async () => {
  const path = file('a.json', '{"a":{"mail":"jane@example.org"},"ip":"10.0.0.1","n":4111111111111111}');
  const { code, out } = await run(path);
  assert.equal(code, 1);
  assert.match(
    out,
    /^EMAIL +replaced +email +\/a\/mail\nIP_ADDRESS +reported +ip\.v4\.private +\/ip\nCREDIT_CARD +replaced +card\.visa +\/n\n$/,
  );
  const json = await run(path, '--json');
  assert.deepEqual(JSON.parse(json.out).findings[0], {
    type: 'EMAIL',
    path: '/a/mail',
    rule: 'email',
    action: 'replaced',
  });
  const shown = await run(path, '--show', '--json');
  assert.deepEqual(
    JSON.parse(shown.out).findings.map((one: { value: string }) => one.value),
    ['jane@example.org', '10.0.0.1', '4111111111111111'],
  );
});

test('a text is told by line, and one without findings exits 0', async () => {
  assert.match((await run(file('b.txt', 'one\ntwo jane@example.org'))).out, /EMAIL .* line 2\n/);
  assert.deepEqual(await run(file('c.txt', 'nothing here')), { code: 0, out: 'nothing found\n', err: '' });
});

test('eval prints precision, recall and F2 per type and names what rules do not cover', async () => {
  const labelled = [
    {
      full_text: 'Bo, jane@example.org',
      spans: [
        { entity_type: 'EMAIL_ADDRESS', start_position: 4, end_position: 20 },
        { entity_type: 'PERSON', start_position: 0, end_position: 2 },
      ],
    },
  ];
  const path = file('d.json', JSON.stringify(labelled));
  const { code, out } = await run('eval', path);
  assert.equal(code, 0);
  assert.match(out, /EMAIL +1 +1 +1 +0 +1\.000 +1\.000 +1\.000/);
  assert.match(out, /labels without rules: PERSON 1/);
  assert.equal(JSON.parse((await run('eval', path, '--json')).out).scores[0].recall, 1);
});

test('wrong use exits 2, an unreadable file 3, and help shows an example', async () => {
  assert.equal((await run()).code, 2);
  assert.equal((await run('a', 'b')).code, 2);
  assert.equal((await run('eval', file('e.json', '{}'))).code, 2);
  assert.equal((await run(join(folder, 'none'))).code, 3);
  assert.match((await run('--help')).out, /example\n {2}printf/);
});
