import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { CAPS } from '../../examples/internal-tools/database/database.ts';
import { SAMPLE } from '../../examples/internal-tools/database/sample.ts';
import { type Answer, textOf, wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { debian, find } from './install.ts';
import { freePort, RunningServer } from './running.ts';

/** postgres_query against a real PostgreSQL, through a running gateway, with the account that the tools' README asks for. */
const INITDB = '/usr/lib/postgresql/*/bin/initdb';
const root = join(import.meta.dirname, '../..');
/** What a statement that reaches the server's files would write. */
const LOOT = join(tmpdir(), `gatewrit-loot-${process.pid}`);
const missing = debian(INITDB, 'postgresql');

const WRITES = [
  "INSERT INTO customers VALUES (9, 'x', 'x', NULL, 'x', '2026-01-01')",
  "UPDATE customers SET name = 'x'",
  'DELETE FROM orders',
  'TRUNCATE orders',
  'DROP TABLE orders',
  'CREATE TABLE x (a integer)',
  'CREATE TEMP TABLE x (a integer)',
  'SELECT * INTO x FROM customers',
  'WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone',
  'SELECT * FROM customers FOR UPDATE',
  'COPY customers TO STDOUT',
  `COPY customers TO '${LOOT}'`,
  `COPY customers TO PROGRAM 'cat > ${LOOT}'`,
  'DO $$ BEGIN DELETE FROM orders; END $$',
  'CALL empty_orders()',
  'EXPLAIN ANALYZE DELETE FROM orders',
  'SELECT 1; DROP TABLE orders',
  'COMMIT; DELETE FROM orders',
  'COMMIT',
  'BEGIN',
  'SET TRANSACTION READ WRITE',
  'SET ROLE postgres',
  "NOTIFY a, 'b'",
];

/** Side effects behind a SELECT. */
const FUNCTIONS = [
  "SELECT nextval('numbers')",
  "SELECT setval('numbers', 5)",
  'SELECT delete_orders()',
  "SELECT query_to_xml('DELETE FROM orders', true, true, '')",
  "SELECT set_config('transaction_read_only', 'off', false)",
  "SELECT set_config('role', 'postgres', false)",
  "SELECT set_config('session_authorization', 'postgres', false)",
  "SELECT lo_import('/etc/passwd')",
  `SELECT lo_export(1, '${LOOT}')`,
  "SELECT pg_read_file('/etc/passwd')",
  "SELECT pg_ls_dir('/')",
  "SELECT pg_stat_file('/etc/passwd')",
  'SELECT pg_reload_conf()',
  'SELECT pg_rotate_logfile()',
  'SELECT pg_switch_wal()',
  "SELECT pg_create_restore_point('x')",
  'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $$postgres$$',
  'SELECT rolpassword FROM pg_authid',
];

describe('postgres_query against a real PostgreSQL, through the gateway', { skip: missing ?? false }, () => {
  let server: PostgresServer;
  let quickstart: Quickstart;
  let token: string;
  const query = (sql: string) => quickstart.gateway.call('readonly__postgres_query', { sql }, token);
  const state = async () =>
    (
      await server.admin(
        `SELECT (SELECT count(*) FROM customers) AS customers, (SELECT count(*) FROM orders) AS orders,
                (SELECT last_value || is_called::text FROM numbers) AS numbers, (SELECT count(*) FROM pg_largeobject_metadata) AS objects,
                (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relations,
                (SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM customers c) AS content`,
      )
    )[0];

  before(async () => {
    server = await PostgresServer.start();
    quickstart = await Quickstart.start({
      settings: {
        upstreams: {
          'internal-readonly': {
            stdio: {
              command: 'node',
              args: ['examples/internal-tools/readonly.ts'],
              cwd: root,
              env: { DATABASE_URL: `file:${server.urlFile}`, TRACKER_FILE: 'home:tracker.db' },
            },
          },
        },
      },
    });
    token = await quickstart.token('alice', ['postgres:query:readonly']);
  });
  after(async () => {
    await quickstart?.close();
    await server?.stop();
  });

  test('answers rows, with dates and decimals as the database writes them', async () => {
    const answer = await query('SELECT item, amount, ordered FROM orders ORDER BY id LIMIT 2');
    assert.deepEqual(rowsOf(answer), {
      columns: ['item', 'amount', 'ordered'],
      rows: [
        ['standing desk', '640.00', '2026-08-02'],
        ['desk lamp', '49.90', '2026-08-02'],
      ],
      truncated: false,
    });
    assert.match(textOf(await query('SELECT version()')), /PostgreSQL 1[3-9]/);
  });

  test('takes personal data out of the rows', async () => {
    const text = textOf(await query('SELECT email FROM customers'));
    assert.doesNotMatch(text, /@example\.org/);
  });

  test(`refuses ${WRITES.length + FUNCTIONS.length} ways to change something or to leave the tables, and nothing changes`, async () => {
    const untouched = await state();
    for (const sql of [...WRITES, ...FUNCTIONS]) {
      const answer = await query(sql);
      assert.equal(answer.json.result?.['isError'], true, `${sql}: ${answer.text}`);
    }
    assert.deepEqual(await state(), untouched);
    assert.equal(existsSync(LOOT), false);
  });

  test('keeps nothing of a query: no large object, no lock, no setting', async () => {
    const untouched = await state();
    await query('SELECT lo_create(0)');
    await query("SELECT set_config('search_path', 'nowhere', false), set_config('statement_timeout', '0', false)");
    await query('SELECT pg_advisory_lock(i) FROM generate_series(1, 100) i');
    assert.deepEqual(await state(), untouched);
    assert.deepEqual(await server.admin("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), []);
    assert.deepEqual(rowsOf(await query("SELECT count(*), current_setting('statement_timeout') FROM customers")).rows, [
      ['4', '5s'],
    ]);
  });

  test('its account alone could not write either', async () => {
    for (const sql of [
      "INSERT INTO customers VALUES (9, 'x', 'x', NULL, 'x', '2026-01-01')",
      'CREATE TABLE x (a integer)',
      'CREATE TEMP TABLE x (a integer)',
      "SELECT nextval('numbers')",
    ])
      await assert.rejects(server.reader(sql), /permission denied/);
  });

  test('stops at the row cap and at the byte cap; a row that is too large costs no memory', async () => {
    const many = rowsOf(await query('SELECT generate_series(1, 100000000)'));
    assert.equal(many.rows.length, CAPS.rows);
    assert.equal(many.truncated, true);
    const wide = rowsOf(await query("SELECT repeat('x ', 25000) FROM generate_series(1, 100)"));
    assert.equal(wide.rows.length, 5);
    assert.equal(wide.truncated, true);
    const huge = await query("SELECT repeat('x', 60000000)");
    assert.equal(huge.json.result?.['isError'], true, huge.text.slice(0, 300));
    assert.equal(rowsOf(await query('SELECT 1')).rows.length, 1);
  });

  for (const sql of [
    'SELECT pg_sleep(60)',
    'SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000) b',
  ])
    test(`is cancelled at its deadline, in the database too: ${sql}`, async () => {
      const started = performance.now();
      const answer = await query(sql);
      const took = performance.now() - started;
      assert.equal(answer.json.result?.['isError'], true, answer.text);
      assert.ok(took >= CAPS.ms - 100 && took < CAPS.ms + 5_000, `${took} ms`);
      assert.deepEqual(
        await server.admin("SELECT query FROM pg_stat_activity WHERE usename = 'shop_reader' AND state = 'active'"),
        [],
      );
      assert.equal(rowsOf(await query('SELECT 1')).rows.length, 1);
    });

  test('says what went wrong without saying where: no path, no SQLSTATE, no address, no account', async () => {
    for (const sql of [
      'SELECT nothing FROM customers',
      'SELECT 1 FROM missing',
      'SELEC',
      "SELECT 'a'::integer",
      'SELECT pg_read_file($$/etc/passwd$$)',
    ]) {
      const answer = await query(sql);
      assert.equal(answer.json.result?.['isError'], true);
      noDiagnostics(answer, server);
    }
  });

  test('a database that ends in the middle of a query does not take the tool with it', async () => {
    const asked = query('SELECT pg_sleep(3)');
    await server.until("SELECT 1 FROM pg_stat_activity WHERE usename = 'shop_reader' AND state = 'active'");
    await server.halt('SIGQUIT');
    assert.equal((await asked).json.result?.['isError'], true);
    await server.resume();
    assert.equal(rowsOf(await query('SELECT 1')).rows.length, 1);
  });

  test('a database that goes away is an error without its address, and is used again once it is back', async () => {
    await server.halt();
    const down = await query('SELECT 1');
    assert.equal(down.json.result?.['isError'], true, down.text);
    noDiagnostics(down, server);
    await server.resume();
    assert.equal(rowsOf(await query('SELECT 1')).rows.length, 1);
  });

  test('holds no more than four connections, however many ask', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => query('SELECT pg_sleep(0.1)')));
    const served = answers.filter((answer) => answer.json.result?.['isError'] !== true && wordOf(answer) === '');
    assert.ok(served.length > 0);
    const [row] = await server.admin(
      "SELECT count(*)::integer AS n FROM pg_stat_activity WHERE usename = 'shop_reader'",
    );
    assert.ok(Number(row!['n']) <= 4, JSON.stringify(row));
  });
});

function rowsOf(answer: Answer): { columns: string[]; rows: unknown[][]; truncated: boolean } {
  assert.notEqual(answer.json.result?.['isError'], true, answer.text.slice(0, 500));
  return JSON.parse(textOf(answer)) as ReturnType<typeof rowsOf>;
}

function noDiagnostics(answer: Answer, server: PostgresServer): void {
  for (const leak of [
    'node_modules',
    '.ts:',
    '    at ',
    'shop_reader',
    String(server.port),
    '127.0.0.1',
    'ECONNREFUSED',
    root,
  ])
    assert.ok(!answer.text.includes(leak), `${leak} is in ${answer.text}`);
  assert.doesNotMatch(answer.text, /\b(42P01|42703|42601|22P02|42501)\b/);
}

/** A cluster of its own in a temporary folder, on a free port of loopback. */
class PostgresServer {
  readonly port: number;
  /** Holds the reader's connection string; 0600. */
  readonly urlFile: string;
  readonly #folder: string;
  readonly #user: { uid?: number; gid?: number };
  #running: RunningServer | null = null;

  private constructor(folder: string, port: number, user: { uid?: number; gid?: number }) {
    this.#folder = folder;
    this.#user = user;
    this.port = port;
    this.urlFile = join(folder, 'url');
  }

  static async start(): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'gatewrit-pg-'));
    // PostgreSQL refuses to run as root.
    const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    const user = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
    const args = [
      '-D',
      join(folder, 'data'),
      '-U',
      'postgres',
      '--auth-local=trust',
      '--auth-host=scram-sha-256',
      '-E',
      'UTF8',
      '--no-sync',
    ];
    execFileSync(find(INITDB)!, args, { ...user, stdio: 'pipe', cwd: folder });
    const server = new PostgresServer(folder, await freePort(), user);
    writeFileSync(server.urlFile, `postgres://shop_reader:only-for-this-test@127.0.0.1:${server.port}/shop`, {
      mode: 0o600,
    });
    await server.resume();
    await server.#fill();
    return server;
  }

  async resume(): Promise<void> {
    const args = [
      '-D',
      join(this.#folder, 'data'),
      '-p',
      String(this.port),
      '-h',
      '127.0.0.1',
      '-k',
      this.#folder,
      '-c',
      'fsync=off',
    ];
    const running = new RunningServer(join(dirname(find(INITDB)!), 'postgres'), args, this.#user);
    this.#running = running;
    await running.until(() => this.admin('SELECT 1', 'postgres'));
  }

  /** Ends it at once, connections and all: SIGINT in order, SIGQUIT as a crash would. */
  async halt(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    await this.#running?.stop(signal);
  }

  /** Waits for a row. */
  async until(sql: string): Promise<void> {
    for (let i = 0; i < 100; i++) {
      if ((await this.admin(sql)).length > 0) return;
      await sleep(20);
    }
    throw new Error(`never: ${sql}`);
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** As superuser, over the socket that only this test knows. */
  admin(sql: string, database = 'shop'): Promise<Record<string, unknown>[]> {
    return run({ host: this.#folder, port: this.port, user: 'postgres', database }, sql);
  }

  /** As the reader, without the tool around it. */
  reader(sql: string): Promise<Record<string, unknown>[]> {
    return run({ host: this.#folder, port: this.port, user: 'shop_reader', database: 'shop' }, sql);
  }

  /** The account is made as examples/internal-tools/README.md says. */
  async #fill(): Promise<void> {
    await this.admin('CREATE DATABASE shop', 'postgres');
    await this.admin(`
      ${SAMPLE}
      CREATE SEQUENCE numbers;
      CREATE FUNCTION delete_orders() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM orders';
      CREATE PROCEDURE empty_orders() LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM orders';
      CREATE ROLE shop_reader LOGIN PASSWORD 'only-for-this-test' NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
      REVOKE CREATE, TEMPORARY ON DATABASE shop FROM PUBLIC;
      REVOKE CREATE ON SCHEMA public FROM PUBLIC;
      GRANT USAGE ON SCHEMA public TO shop_reader;
      GRANT SELECT ON customers, orders TO shop_reader;
    `);
  }
}

async function run(config: pg.ClientConfig, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
