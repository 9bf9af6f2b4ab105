import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mistakeIn } from './mistakes.ts';

const SQL = "SELECT custmer, id FORM customers c WHERE id = 'abc'";
const COLUMN = 'The statement names a column that does not exist: custmer. (character 8)';
const NEAR = 'The statement has a syntax error near: FORM (character 20)';
const TABLE = 'The statement names a table that does not exist or may not be read: customers. (character 25)';
const INTEGER = 'A value in the statement is not a valid integer: abc (character 49)';

const SAID: readonly (readonly [database: string, said: string, told: string])[] = [
  [
    'PostgreSQL',
    'error: column "custmer" does not exist\n    at Parser.parseErrorMessage (/srv/node_modules/pg-protocol/x.js:1:2)',
    COLUMN,
  ],
  ['PostgreSQL', 'error: syntax error at or near "FORM"\n    at /srv/x.js:1:2', NEAR],
  ['PostgreSQL', 'psycopg.errors.UndefinedTable: relation "customers" does not exist\nLINE 1: SELECT custmer', TABLE],
  ['PostgreSQL', 'ERROR:  invalid input syntax for type integer: "abc"', INTEGER],
  [
    'PostgreSQL',
    'operator does not exist: character varying = integer',
    'These types do not compare: character varying with integer; cast one.',
  ],
  [
    'PostgreSQL',
    'cannot execute DELETE in a read-only transaction',
    'Only reading is allowed; the statement would change something.',
  ],
  [
    'PostgreSQL',
    'canceling statement due to statement timeout',
    'The statement ran longer than it may and was ended; narrow what it reads.',
  ],
  [
    'PostgreSQL',
    'column "customers.id" must appear in the GROUP BY clause or be used in an aggregate function',
    'This column must stand in GROUP BY or in an aggregate function: id.',
  ],
  ['MySQL', "ER_BAD_FIELD_ERROR: Unknown column 'custmer' in 'field list'", COLUMN],
  ['MySQL', "Table 'shop_prod.customers' doesn't exist", TABLE],
  [
    'MySQL',
    "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'FORM customers' at line 1",
    'The statement has a syntax error near: FORM customers (character 20)',
  ],
  ['SQLite', 'SqliteError: no such column: custmer', COLUMN],
  ['SQLite', 'SQLITE_ERROR: near "FORM": syntax error', NEAR],
  ['SQL Server', "Msg 207, Level 16, State 1, Server SQL01: Invalid column name 'custmer'.", COLUMN],
  ['SQL Server', "Incorrect syntax near 'FORM'.", NEAR],
  [
    'SQL Server',
    "Conversion failed when converting the varchar value 'abc' to data type int.",
    'A value in the statement is not a valid int: abc (character 49)',
  ],
  ['Oracle', 'ORA-00904: "C"."CUSTMER": invalid identifier', COLUMN],
  [
    'Oracle',
    'java.sql.SQLSyntaxErrorException: ORA-00942: table or view does not exist',
    'A table of the statement does not exist or may not be read.',
  ],
];

for (const [database, said, told] of SAID)
  test(`${database}: ${told}`, () => {
    assert.equal(mistakeIn(said, { sql: SQL, limit: 10 }), told);
  });

test('a name the caller did not write is told in no case', () => {
  for (const said of [
    'relation "payroll_2026" does not exist',
    'column "salary" does not exist',
    "Unknown column 'p.salary' in 'where clause'",
    "Unknown column 'payroll.id' in 'where clause'",
    'column "customers.salary" must appear in the GROUP BY clause',
    'permission denied for table payroll',
    'invalid input syntax for type integer: "hunter2"',
    'invalid input syntax for type payroll_kind: "abc"',
    'operator does not exist: payroll_kind = text',
    'syntax error at or near "secret"',
    "near 'ust': in your SQL syntax; check, near 'hunter2' at line 1",
  ])
    assert.equal(mistakeIn(said, { sql: SQL }), null, said);
  // Part of a word is not the word: an upstream could spell its secrets out of letters.
  assert.equal(mistakeIn('column "cust" does not exist', { sql: SQL }), null);
});

test('a call that sent no statement, or several, is told nothing of a database', () => {
  for (const args of [
    undefined,
    null,
    {},
    { id: 'custmer' },
    { a: SQL, b: 'SELECT 1' },
    { text: `note: ${SQL}` },
    [SQL],
  ])
    assert.equal(
      mistakeIn('column "custmer" does not exist', args === undefined ? undefined : Array.isArray(args) ? 7 : args),
      null,
    );
});

test('whatever an upstream says, each word told is ours or of the statement', () => {
  const ours = new Set(SAID.flatMap(([, , told]) => told.split(/\W+/)).concat(SQL.split(/\W+/)));
  const runs = 200 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
  fc.assert(
    fc.property(fc.constantFrom(...SAID), fc.string({ maxLength: 12 }), ([, said], put) => {
      const told = mistakeIn(
        said.replaceAll(/custmer|FORM|abc|customers/g, () => put),
        { sql: SQL },
      );
      for (const word of told?.split(/\W+/) ?? [])
        if (!/^\d*$/.test(word)) assert.ok(ours.has(word) || SQL.toLowerCase().includes(word.toLowerCase()), word);
    }),
    { numRuns: runs },
  );
});

test('no failure is slow to look through', () => {
  const started = performance.now();
  for (const part of [
    'column "',
    'relation "x',
    "near 'a",
    'in your SQL syntax; ',
    "conversion failed when converting value '",
    'function a.',
  ])
    mistakeIn(part.repeat(20_000), { sql: `SELECT ${'a '.repeat(9_000)}` });
  assert.ok(performance.now() - started < 1_000);
});
