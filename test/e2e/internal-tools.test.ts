import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { CAPS, type Database, openDatabase } from '../../examples/internal-tools/database/database.ts';
import { openEmbedded } from '../../examples/internal-tools/database/embedded.ts';
import { openObjects } from '../../examples/internal-tools/objects/objects.ts';
import { openTracker } from '../../examples/internal-tools/tracker/tracker.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'gatewrit-tools-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('postgres_query against the embedded database', () => {
  const MS = 1_000;
  let database: Database;
  const count = async () => (await database.query('SELECT count(*) FROM customers')).rows[0]![0];

  test('starts with the first query, not before', async () => {
    let workers = 0;
    const count = () => workers++;
    process.on('worker', count);
    database = openEmbedded({ ...CAPS, ms: MS });
    assert.equal(workers, 0);
    await database.query('SELECT 1');
    assert.equal(workers, 1);
    process.off('worker', count);
  });

  test('answers with columns and rows, dates as they are', async () => {
    const { columns, rows, truncated } = await database.query('SELECT name, since FROM customers ORDER BY id LIMIT 1');
    assert.deepEqual(
      { columns, rows, truncated },
      { columns: ['name', 'since'], rows: [['Ada Moreau', '2023-02-11']], truncated: false },
    );
  });

  for (const sql of [
    'VALUES (1)',
    'TABLE orders',
    'WITH a AS (SELECT 1) SELECT * FROM a',
    'SELECT 1; ',
    'SELECT 1 -- ; DELETE',
  ])
    test(`runs ${sql}`, async () => {
      assert.ok((await database.query(sql)).rows.length > 0);
    });

  const REFUSED = [
    // Statements that change something, alone, hidden in a query, behind one, around one.
    "INSERT INTO customers VALUES (9, 'x', 'x', NULL, 'x', '2026-01-01')",
    "UPDATE customers SET name = 'x'",
    'DELETE FROM customers',
    'TRUNCATE orders',
    'DROP TABLE orders',
    'CREATE TABLE x (a integer)',
    'CREATE TEMP TABLE x (a integer)',
    'SELECT * INTO x FROM customers',
    'WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone',
    'SELECT * FROM customers FOR UPDATE',
    "COPY customers TO '/tmp/x'",
    'COPY customers TO STDOUT',
    "COPY customers TO PROGRAM 'id'",
    'DO $$ BEGIN DELETE FROM orders; END $$',
    'EXPLAIN ANALYZE DELETE FROM orders',
    'PREPARE p AS DELETE FROM orders',
    // A second statement.
    'SELECT 1; DROP TABLE orders',
    'COMMIT; DELETE FROM orders',
    'SELECT 1) ; DELETE FROM orders; --',
    "SELECT 'a;' ; SELECT 2",
    // Out of the transaction, or out of read-only.
    'COMMIT',
    'ROLLBACK',
    'BEGIN',
    'SET TRANSACTION READ WRITE',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT set_config('transaction_read_only', 'off', false), query_to_xml('DELETE FROM orders', true, true, '')",
    // Functions that do more than read the tables.
    'SELECT lo_create(0)',
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    'SELECT pg_reload_conf()',
    "SELECT set_config('session_authorization', 'postgres', true), query_to_xml('SELECT pg_read_file(''PG_VERSION'')', true, true, '')",
    "SELECT query_to_xml('DELETE FROM orders', true, true, '')",
  ];
  for (const sql of REFUSED)
    test(`refuses ${sql}`, async () => {
      await assert.rejects(database.query(sql), /error/);
      assert.equal(await count(), 4);
    });

  test('forgets what a query did to its session', async () => {
    await database.query("SELECT set_config('search_path', 'nowhere', false), pg_advisory_lock(7)");
    assert.equal(await count(), 4);
    const { rows } = await database.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
    assert.equal(rows[0]![0], 0);
  });

  test('stops at the row cap and at the byte cap, and says so', async () => {
    const many = await database.query('SELECT * FROM generate_series(1, 100000)');
    assert.equal(many.rows.length, CAPS.rows);
    assert.equal(many.truncated, true);
    const exact = await database.query(`SELECT * FROM generate_series(1, ${CAPS.rows})`);
    assert.equal(exact.truncated, false);
    const wide = await database.query("SELECT repeat('x', 50000) FROM generate_series(1, 10)");
    assert.equal(wide.rows.length, 5);
    assert.equal(wide.truncated, true);
    assert.ok(JSON.stringify(wide.rows).length <= CAPS.bytes);
    assert.deepEqual((await database.query("SELECT repeat('x', 1000000)")).rows, []);
  });

  for (const sql of [
    'SELECT pg_sleep(60)',
    'SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b',
  ])
    test(`is ended at the deadline, and the next query works: ${sql}`, async () => {
      const started = performance.now();
      const late = database.query(sql);
      const next = count();
      await assert.rejects(late, /ran longer than/);
      assert.ok(performance.now() - started >= MS - 1);
      assert.equal(await next, 4);
    });
});

test('postgres_query connects to a real database with the first query, and says when it is not there', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const database = openDatabase(`postgres://reader@127.0.0.1:${port}/shop`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(connections, 0);
  await assert.rejects(database.query('SELECT 1'));
  assert.equal(connections, 1);
  server.close();
});

describe('s3_list over a folder', () => {
  const bucket = join(folder, 'bucket');
  const objects = openObjects({ OBJECTS_FOLDER: bucket });
  const keys = async (prefix: string) => (await objects.list(prefix)).objects.map(({ key }) => key);

  before(() => {
    mkdirSync(join(bucket, 'reports/2026'), { recursive: true });
    for (const key of ['a.txt', 'reports/2026/q1.csv', 'reports/q2.csv', 'reports-old.csv'])
      writeFileSync(join(bucket, key), key);
    mkdirSync(join(folder, 'outside'));
    writeFileSync(join(folder, 'outside/secret.txt'), 'secret');
    symlinkSync(join(folder, 'outside'), join(bucket, 'linked'));
    symlinkSync(join(folder, 'outside/secret.txt'), join(bucket, 'linked.txt'));
    symlinkSync('..', join(bucket, 'reports/up'));
  });

  test('lists every file in key order with size and time, links left out', async () => {
    const { objects: listed, truncated } = await objects.list('');
    assert.deepEqual(
      listed.map(({ key }) => key),
      ['a.txt', 'reports-old.csv', 'reports/2026/q1.csv', 'reports/q2.csv'],
    );
    assert.equal(truncated, false);
    assert.equal(listed[0]!.size, 5);
    assert.match(listed[0]!.modified, /^\d{4}-\d\d-\d\dT/);
  });

  test('compares the prefix with keys and never makes a path of it', async () => {
    assert.deepEqual(await keys('reports/'), ['reports/2026/q1.csv', 'reports/q2.csv']);
    assert.deepEqual(await keys('rep'), ['reports-old.csv', 'reports/2026/q1.csv', 'reports/q2.csv']);
    const outside = [
      '../',
      '..',
      '../outside/',
      '/',
      bucket,
      `${bucket}/`,
      './a',
      'reports/../a',
      'reports/2026/../',
      'linked/',
      '%2e%2e/',
      '..\\',
      'a.txt\0',
      'reports//',
    ];
    for (const prefix of outside) assert.deepEqual(await keys(prefix), [], prefix);
  });

  test('shows a bounded number and says that there are more', async () => {
    const many = join(folder, 'many');
    mkdirSync(many);
    for (let i = 0; i < 501; i++) writeFileSync(join(many, `${i}`), '');
    const { objects: shown, truncated } = await openObjects({ OBJECTS_FOLDER: many }).list('');
    assert.equal(shown.length, 500);
    assert.equal(truncated, true);
  });
});

describe('the embedded tracker', () => {
  const file = join(folder, 'tracker.db');
  const titles = async (text: string) =>
    (await openTracker({ TRACKER_FILE: file }).search(text)).map(({ title }) => title);

  test('counts keys up per project', async () => {
    const tracker = openTracker({ TRACKER_FILE: file });
    assert.deepEqual(await tracker.create({ title: '100% done', description: 'a_b' }), { key: 'PROJ-1' });
    assert.deepEqual(await tracker.create({ title: '1000 done', description: 'aXb' }), { key: 'PROJ-2' });
    assert.deepEqual(await tracker.create({ title: 'back\\slash', description: "it's; DROP TABLE issues" }), {
      key: 'PROJ-3',
    });
    const found = await openTracker({ TRACKER_FILE: file, JIRA_PROJECT: 'SHOP' }).search('100%');
    assert.deepEqual(found, [{ key: 'SHOP-1', title: '100% done', status: 'To Do' }]);
  });

  test('searches a substring of title or description in which %, _ and \\ are themselves', async () => {
    assert.deepEqual(await titles('0%'), ['100% done']);
    assert.deepEqual(await titles('a_b'), ['100% done']);
    assert.deepEqual(await titles('k\\s'), ['back\\slash']);
    assert.deepEqual(await titles('DROP TABLE'), ['back\\slash']);
    assert.deepEqual(await titles("' OR '1'='1"), []);
    assert.deepEqual(await titles('_'), ['100% done']);
    assert.equal((await titles('e')).length, 3);
  });

  test('gives no key twice when two processes share one file', async () => {
    const shared = join(folder, 'shared.db');
    const clients = await Promise.all([0, 1].map(() => overStdio('destructive.ts', { TRACKER_FILE: shared })));
    const create = async (client: Client) =>
      JSON.stringify((await client.callTool({ name: 'jira_create', arguments: { title: 'x' } })).content);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => create(clients[i % 2]!)));
    // Before anything can fail: a process left behind would keep the test runner waiting.
    await Promise.all(clients.map((client) => client.close()));
    const keys = answers.map((answer) => /PROJ-\d+/.exec(answer)?.[0] ?? answer);
    assert.deepEqual(new Set(keys), new Set(Array.from({ length: 20 }, (_, i) => `PROJ-${i + 1}`)));
  });
});

test('the Jira Cloud driver never sends its token in clear', async () => {
  const tracker = openTracker({ JIRA_URL: 'http://jira.example', JIRA_EMAIL: 'a@example.org', JIRA_TOKEN: 'secret' });
  await assert.rejects(tracker.search('x'), /must begin with https/);
});

async function overStdio(file: string, env: Record<string, string>): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const args = [join(root, 'examples/internal-tools', file)];
  await client.connect(new StdioClientTransport({ command: process.execPath, args, env, stderr: 'inherit' }));
  return client;
}
