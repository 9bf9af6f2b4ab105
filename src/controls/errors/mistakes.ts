/**
 * A mistake in the caller's own SQL, said in our words. What a database says of it is driver text and is withheld
 * (names of tables nobody asked for, accounts, hosts), but a model that wrote the statement has to learn what to mend.
 * So the sentence comes from this closed table, and a name stands in it only if the caller's statement holds that name:
 * nothing is told that he did not send, whatever the upstream writes. Pure.
 */
interface Mistake {
  readonly pattern: RegExp;
  /** `$1` and `$2` are what the pattern caught. */
  readonly text: string;
  /** Groups that come from a closed list in the pattern itself, not from the upstream's free text. */
  readonly closed?: readonly number[];
}

const COLUMN = 'The statement names a column that does not exist: $1.';
const TABLE = 'The statement names a table that does not exist or may not be read: $1.';
const AMBIGUOUS = 'This column exists in more than one table of the statement; write the table before it: $1.';
const FUNCTION = 'The statement calls a function that does not exist for these arguments: $1.';
const ALIAS = 'The statement uses a table or alias that its FROM does not name: $1.';
const GROUPED = 'This column must stand in GROUP BY or in an aggregate function: $1.';
const SYNTAX = 'The statement has a syntax error near: $1';
const ENDS = 'The statement ends too early: something is missing at its end.';
const QUOTE = 'A quotation mark in the statement is not closed.';
const VALUE = 'A value in the statement is not a valid $1: $2';
const CONVERTED = 'A value in the statement is not a valid $2: $1';
const READ_ONLY = 'Only reading is allowed; the statement would change something.';
const LATE = 'The statement ran longer than it may and was ended; narrow what it reads.';

const TYPES =
  'small ?int|integer|int|big ?int|numeric|decimal|real|double precision|float|boolean|bit|uuid|date|datetime2?|interval|jsonb?|(?:time|timestamp)(?: with(?:out)? time zone)?';
const TYPE_NAMES = `${TYPES}|text|character varying|varchar|character|bytea|unknown|text\\[\\]|integer\\[\\]`;

const mistake = (pattern: RegExp, text: string, closed?: readonly number[]): Mistake =>
  closed ? { pattern, text, closed } : { pattern, text };

/** PostgreSQL, MySQL and MariaDB, SQLite, SQL Server, Oracle. The first that fits is told. */
const MISTAKES: readonly Mistake[] = [
  mistake(/\bcolumn "([^"\n]{1,128})" must appear in the GROUP BY/i, GROUPED),
  mistake(/\bcolumn '([^'\n]{1,128})' is invalid in the (?:select list|having clause)/i, GROUPED),
  mistake(/nonaggregated column '(?:[^'.\n]{1,64}\.)?([^'\n]{1,128})'/i, GROUPED),
  mistake(
    /ORA-00979|not a GROUP BY expression/i,
    'A selected column is neither in GROUP BY nor in an aggregate function.',
  ),
  mistake(/\bcolumn (?:reference )?"([^"\n]{1,128})" is ambiguous/i, AMBIGUOUS),
  mistake(/\bcolumn '([^'\n]{1,128})' in [\w ]{1,30} is ambiguous/i, AMBIGUOUS),
  mistake(/\bambiguous column name:? '?([\w.]{1,128})/i, AMBIGUOUS),
  mistake(/ORA-00918/, 'A column exists in more than one table of the statement; write the table before it.'),
  mistake(/\bcolumn "([^"\n]{1,128})" does not exist/i, COLUMN),
  mistake(/\bcolumn ([\w.]{1,128}) does not exist/i, COLUMN),
  mistake(/\bunknown column '([^'\n]{1,128})' in '/i, COLUMN),
  mistake(/\bno such column: ([\w."]{1,128})/i, COLUMN),
  mistake(/\binvalid column name '([^'\n]{1,128})'/i, COLUMN),
  mistake(/ORA-00904: (?:"[^"\n]{1,64}"\.){0,2}"([^"\n]{1,128})"/, COLUMN),
  mistake(/\brelation "([^"\n]{1,128})" does not exist/i, TABLE),
  mistake(/\btable '(?:[^'.\n]{1,64}\.)?([^'.\n]{1,128})' doesn't exist/i, TABLE),
  mistake(/\bno such table: (?:main\.)?([\w.]{1,128})/i, TABLE),
  mistake(/\binvalid object name '([^'\n]{1,128})'/i, TABLE),
  mistake(/ORA-00942/, 'A table of the statement does not exist or may not be read.'),
  mistake(/\bpermission denied for (?:table|view|relation|schema|function) "?([\w.]{1,128})/i, TABLE),
  mistake(/\bfunction ([\w.]{1,128})\([^)\n]{0,200}\) does not exist/i, FUNCTION),
  mistake(/\bno such function: (\w{1,128})/i, FUNCTION),
  mistake(/\bfunction (?:\w{1,64}\.)?(\w{1,128}) does not exist/i, FUNCTION),
  mistake(/'(\w{1,128})' is not a recognized built-in function name/i, FUNCTION),
  mistake(/\b(?:missing|invalid reference to) FROM-clause entry for table "([^"\n]{1,128})"/i, ALIAS),
  mistake(/\bunknown table '([^'\n]{1,128})'/i, ALIAS),
  mistake(/multi-part identifier "([^"\n]{1,128})" could not be bound/i, ALIAS),
  mistake(/\binvalid input syntax for (?:type )?TYPES: "([^"\n]{1,128})"/i, VALUE, [1]),
  mistake(
    /\bconversion failed when converting [^\n]{0,80}?value '([^'\n]{1,128})' to data type TYPES/i,
    CONVERTED,
    [2],
  ),
  mistake(
    /\boperator does not exist: OPERAND [^\s\w]{1,4} OPERAND/i,
    'These types do not compare: $1 with $2; cast one.',
    [1, 2],
  ),
  mistake(/\bsyntax error at end of input|incomplete input|unexpected end of statement/i, ENDS),
  mistake(
    /\bunterminated quoted (?:string|identifier)|unclosed quotation mark|ORA-01756|unrecognized token: ["']/i,
    QUOTE,
  ),
  mistake(/\bsyntax error at or near "([^\n]{1,128}?)"(?:\s|$)/i, SYNTAX),
  mistake(/\bin your SQL syntax;[^\n]{0,160} near '([^\n]{1,128}?)' at line/i, SYNTAX),
  mistake(/\bin your SQL syntax;[^\n]{0,160} near '' at line/i, ENDS),
  mistake(/\bnear "([^"\n]{1,128})": syntax error/i, SYNTAX),
  mistake(/\bincorrect syntax near (?:the keyword )?'([^'\n]{1,128})'/i, SYNTAX),
  mistake(/ORA-00933/, 'The statement goes on where it should have ended.'),
  mistake(/ORA-00936/, 'An expression is missing in the statement.'),
  mistake(/ORA-00923/, 'FROM is missing where it was expected.'),
  mistake(
    /\baggregate functions? (?:are|is) not allowed in WHERE|misuse of aggregate|invalid use of group function/i,
    'An aggregate function may not stand in WHERE; use HAVING.',
  ),
  mistake(
    /\beach UNION query must have the same number|different number of columns|same number of result columns/i,
    'The parts of a UNION must have the same number of columns.',
  ),
  mistake(
    /\bmore than one row returned by a subquery|subquery returns more than 1 row|ORA-01427/i,
    'A subquery that must give one row gives several.',
  ),
  mistake(/\bdivision by zero|divide by zero error|ORA-01476/i, 'The statement divides by zero; guard it with NULLIF.'),
  mistake(/\bin a read-only transaction|attempt to write a readonly database|ORA-01456/i, READ_ONLY),
  mistake(/\bdue to statement timeout|maximum statement execution time exceeded|ORA-01013/i, LATE),
].map(({ pattern, text, closed }) =>
  mistake(
    new RegExp(pattern.source.replaceAll('TYPES', `(${TYPES})`).replaceAll('OPERAND', `(${TYPE_NAMES})`), 'i'),
    text,
    closed,
  ),
);

/** Only the head of a failure is looked at: the database's sentence comes first. Characters. */
const HEAD = 4_096;
const LONGEST_STATEMENT = 20_000;
const STATEMENT =
  /^[\s(]*(?:select|with|values|table|insert|update|delete|explain|show|describe|merge|call|create|drop|alter)\b/i;

/**
 * @param failure what the upstream said, of any length
 * @param args the arguments of the call as the client sent them
 * @returns our sentence, or null: no SQL was sent, nothing is recognised, or it would tell a name that was not sent
 */
export function mistakeIn(failure: string, args: unknown): string | null {
  const statement = statementIn(args);
  if (statement === null) return null;
  const head = failure.slice(0, HEAD);
  for (const { pattern, text, closed = [] } of MISTAKES) {
    const found = pattern.exec(head);
    if (found === null) continue;
    const names = found.slice(1);
    const place = { at: '' };
    const told = names.map((name, i) =>
      closed.includes(i + 1) ? name.toLowerCase() : ownWord(statement, name, place),
    );
    if (told.includes(null)) return null;
    return `${text.replace(/\$([12])/g, (_all, n: string) => told[Number(n) - 1] ?? '')}${place.at}`;
  }
  return null;
}

/** The one argument that is a statement. Several would leave open which of them is meant. */
function statementIn(args: unknown): string | null {
  if (typeof args !== 'object' || args === null) return null;
  const statements = Object.values(args).filter(
    (value): value is string => typeof value === 'string' && value.length <= LONGEST_STATEMENT && STATEMENT.test(value),
  );
  return statements.length === 1 ? statements[0]! : null;
}

/** The caller's own spelling of a name, and where it stands if it stands there once; null when he did not write it. */
function ownWord(statement: string, name: string, place: { at: string }): string | null {
  const plain = name.replaceAll('"', '').trim();
  if (plain === '') return null;
  const word = new RegExp(`(?<!\\w)${RegExp.escape(plain)}(?!\\w)`, 'gi');
  const exact = /^\w/.test(plain) && /\w$/.test(plain) ? word : new RegExp(RegExp.escape(plain), 'gi');
  const [first, second] = statement.matchAll(exact);
  if (first === undefined) {
    // A database may put the table before a column; both have to be the caller's.
    const parts = plain.split('.');
    const own = parts.length > 1 ? parts.map((part) => ownWord(statement, part, place)) : [null];
    return own.includes(null) ? null : own.at(-1)!;
  }
  place.at = second === undefined ? ` (character ${first.index + 1})` : '';
  return first[0];
}
