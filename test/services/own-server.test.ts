import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { guided, Newcomer } from '../e2e/own-server.ts';
import { skipped } from './install.ts';

/**
 * Published servers as npm installs them, unmodified, each by at most five commands: the first is the guide's own, the
 * others the same with another package. They start without an account and without the network.
 */
const FIVE_MINUTES = 300_000;
const version = (name: string) => {
  const root = join(import.meta.dirname, '../..');
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return (devDependencies as Record<string, string>)[name] ?? 'latest';
};

interface Published {
  readonly server: string;
  readonly package: string;
  readonly entry: string;
  readonly set: readonly string[];
  readonly call: { readonly name: string; readonly arguments: Record<string, unknown> };
  readonly says: RegExp;
}

const PUBLISHED: readonly Published[] = [
  {
    server: 'everything',
    package: `@modelcontextprotocol/server-everything@${version('@modelcontextprotocol/server-everything')}`,
    entry: 'node_modules/@modelcontextprotocol/server-everything/dist/index.js stdio',
    set: ['echo.effect=read'],
    call: { name: 'echo', arguments: { message: 'own' } },
    says: /Echo: own/,
  },
  {
    server: 'memory',
    package: '@modelcontextprotocol/server-memory',
    entry: 'node_modules/@modelcontextprotocol/server-memory/dist/index.js',
    set: ['read_graph.effect=read'],
    call: { name: 'read_graph', arguments: {} },
    says: /entities/,
  },
  {
    server: 'files',
    package: '@modelcontextprotocol/server-filesystem',
    entry: 'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js .',
    set: ['list_directory.effect=read'],
    call: { name: 'list_directory', arguments: { path: '.' } },
    says: /gatewrit\.yaml/,
  },
];

for (const one of PUBLISHED) {
  describe(`${one.server}, as npm installs it`, () => {
    const newcomer = new Newcomer();
    after(() => newcomer.leaves());

    test('is behind the gateway and called, in at most five commands and five minutes', async (context) => {
      const [install, , accept, start] = guided('A server that speaks stdio');
      const started = performance.now();
      try {
        await newcomer.types([...install!.slice(0, -1), '--ignore-scripts', '--no-audit', '--no-fund', one.package]);
      } catch (error) {
        context.skip(skipped(one.package, (error as Error).message.trim().split('\n').slice(-3).join(' / ')));
        return;
      }
      const [name, command] = [accept!.indexOf('everything'), accept!.indexOf('--command') + 1];
      const words = accept!
        .slice(0, accept!.indexOf('--set'))
        .with(name, one.server)
        .with(command, `node ${one.entry}`);
      const printed = await newcomer.types([...words, ...one.set.flatMap((set) => ['--set', set])]);
      assert.deepEqual(start, ['gatewrit', 'start']);
      await newcomer.starts();
      const client = await newcomer.connects(printed, one.server);
      const { content, isError } = await client.callTool(one.call);
      assert.match(JSON.stringify(content), one.says);
      assert.notEqual(isError, true);
      await client.close();
      assert.ok(performance.now() - started < FIVE_MINUTES);
      assert.ok(existsSync(join(newcomer.folder, 'package-lock.json')), 'npm itself put it there');
    });
  });
}
