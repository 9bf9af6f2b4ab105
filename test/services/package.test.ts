import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Newcomer } from '../e2e/own-server.ts';
import { skipped } from './install.ts';

const root = join(import.meta.dirname, '../..');
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
/** What development mode asks for, and a server to stand before, in the versions that are tested elsewhere. */
const { devDependencies: versions } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  devDependencies: Record<string, string>;
};
const pinned = (name: string) => `${name}@${versions[name]}`;
const DEVELOPMENT = ['@peculiar/x509', 'oidc-provider', 'reflect-metadata'];
const EVERYTHING = '@modelcontextprotocol/server-everything';

describe('the package, as npm installs it in an empty folder', () => {
  const newcomer = new Newcomer({ installed: true });
  const failing = (...words: string[]) =>
    newcomer.types(['gatewrit', ...words]).then(
      (said) => assert.fail(said),
      ({ message }: Error) => message,
    );
  after(() => newcomer.leaves());

  test('is built, packed and installed, and says which it is', async (context) => {
    execFileSync(process.execPath, [join(root, 'test/run.ts'), 'build'], { cwd: root, stdio: 'pipe' });
    const packed = await newcomer.types(['npm', 'pack', root, '--silent', ...QUIET]);
    try {
      await newcomer.types(['npm', 'install', join(newcomer.folder, packed.trim().split('\n').at(-1)!), ...QUIET]);
    } catch (error) {
      context.skip(skipped('the package', (error as Error).message.trim().split('\n').slice(-3).join(' / ')));
      return;
    }
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    assert.match(await newcomer.types(['gatewrit', '--version']), new RegExp(`^gatewrit ${version} `));
  });

  test('both entries can be imported, and their types hold under strict settings', async () => {
    const names =
      "for (const m of ['gatewrit', 'gatewrit/verifier']) console.log(Object.keys(await import(m)).sort().join())";
    const [whole, verifier] = (await newcomer.types(['node', '--input-type=module', '-e', names])).trim().split('\n');
    assert.match(whole!, /openFronts,openGatewrit/);
    assert.match(verifier!, /verifyLog/);
    const program = `import { type Gatewrit, openGatewrit, readConfiguration } from 'gatewrit';
      import { type VerifyReport, verifyLog } from 'gatewrit/verifier';
      export const parts: readonly unknown[] = [openGatewrit, readConfiguration, verifyLog];
      export type Both = Gatewrit & VerifyReport;`;
    writeFileSync(join(newcomer.folder, 'program.mts'), program);
    const settings = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', 'node'];
    const types = ['--typeRoots', join(root, 'node_modules/@types')];
    await newcomer.types([join(root, 'node_modules/.bin/tsc'), ...settings, ...types, 'program.mts']);
  });

  test('development mode without its packages names them, to start and to check', async () => {
    await newcomer.types(['gatewrit', 'init']);
    const wanted = /npm install --save-dev @peculiar\/x509 oidc-provider reflect-metadata\. Without them set /;
    const said = await failing('start');
    assert.match(said, wanted);
    const [, guide] = /\((docs\/[^)]+)\)/.exec(said)!;
    assert.ok(existsSync(join(newcomer.folder, 'node_modules/gatewrit', guide!)), `${guide} is in the package`);
    assert.match(await failing('check'), wanted);
  });

  test('with them it stands before a server, and a client is answered', async () => {
    await newcomer.types(['npm', 'install', ...QUIET, ...[...DEVELOPMENT, EVERYTHING].map(pinned)]);
    const command = `node node_modules/${EVERYTHING}/dist/index.js stdio`;
    const printed = await newcomer.types([
      ...['gatewrit', 'registry', 'add', 'everything', '--command', command],
      ...['--set', 'echo.effect=read', '--accept'],
    ]);
    await newcomer.starts();
    const client = await newcomer.connects(printed, 'everything');
    const { content } = await client.callTool({ name: 'echo', arguments: { message: 'packed' } });
    assert.match(JSON.stringify(content), /Echo: packed/);
    await client.close();
    assert.match(await newcomer.types(['gatewrit', 'audit', 'verify']), /^GOOD: every byte/m);
  });
});
