import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printed, snippets } from './snippets.ts';

const find = (all: ReturnType<typeof snippets>, name: string) => all.find(({ client }) => client === name)!.text;

test('each entry bears the name of its server and starts the stdio entry of this home', () => {
  const all = snippets({ servers: ['notes', 'crm'], home: "/home/ada's", url: null });
  const { mcpServers } = JSON.parse(find(all, 'Cursor')) as { mcpServers: Record<string, { args: string[] }> };
  assert.deepEqual(Object.keys(mcpServers), ['notes', 'crm']);
  assert.deepEqual(mcpServers['crm']?.args.slice(1), ['stdio', '--home', "/home/ada's", '--server', 'crm']);
  assert.equal(JSON.parse(find(all, 'VS Code')).servers.notes.type, 'stdio');
  assert.ok(find(all, 'Claude Code').includes(`claude mcp add crm -- `));
  assert.ok(find(all, 'Claude Code').includes(`'/home/ada'\\''s'`), 'quoted for a shell');
  assert.equal(printed(all).match(/mcpServers/g)?.length, 1, 'what is the same is printed once');
});

test('where people sign in by themselves clients get the URL, and the one that only starts programs an entry that signs in', () => {
  const all = snippets({ servers: ['notes'], home: '/h', url: 'https://gw.example/mcp' });
  assert.deepEqual(JSON.parse(find(all, 'Cursor')), { mcpServers: { notes: { url: 'https://gw.example/mcp/notes' } } });
  assert.equal(JSON.parse(find(all, 'VS Code')).servers.notes.type, 'http');
  assert.match(find(all, 'Claude Code'), /--transport http notes https:\/\/gw\.example\/mcp\/notes/);
  assert.deepEqual(JSON.parse(find(all, 'Claude Desktop')).mcpServers.notes.args.slice(1), [
    'stdio',
    '--url',
    'https://gw.example/mcp/notes',
  ]);
});
