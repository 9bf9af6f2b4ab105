/**
 * Does a text tell how the inside of a server looks? Stack frames, absolute paths, database and driver text, hosts and
 * ports, connection strings, environment, error pages, addresses in memory. Pure; every repetition is
 * bounded, a rule runs only when one of its literals occurs, and what is longer than any message counts as a dump.
 *
 * It is a judgement about a whole text, not a cutter: what stands beside a stack frame is not worth a guess. It errs
 * towards withholding; an operator who wants a tool's own words sets `errors: verbatim` for it.
 */
export interface DiagnosticRule {
  /** For the operator: what kind of thing was found. */
  readonly kind: string;
  /** Lower-case literals of which one must occur; empty: none is sure to. */
  readonly literals: readonly string[];
  readonly pattern: RegExp;
}

const rule = (kind: string, literals: readonly string[], pattern: RegExp): DiagnosticRule => ({
  kind,
  literals,
  pattern,
});

/** Where a path, host or address may begin. */
const START = String.raw`(?:^|[\s"'\`(:,[{<>|;@]|(?<![?&][\w-]{1,40})=)`;
const CODE_FILE = String.raw`\.(?:[cm]?[jt]sx?|py|pyx|rb|erb|php|go|rs|java|kt|scala|clj|cs|vb|fs|cpp|cc|c|h|hpp|swift|exs?|erl|pl|pm|lua|vue|svelte|sql|sh)`;
const ROOTS =
  'usr|var|etc|opt|tmp|root|srv|mnt|proc|sys|lib64|sbin|bin|Users|Applications|Volumes|nix|snap|node_modules|builddir|vercel|cnb';
/** Words of web routes too: something has to follow. */
const ROOTS_WITH_MORE = 'home|private|Library|github|runner|secrets|boot|workspace|workspaces|layers';
const AMBIGUOUS_ROOTS =
  'app|apps|src|code|data|run|lib|dev|media|build|dist|work|service|services|server|project|projects|repo';
const INTERNAL =
  'internal|local|svc|lan|corp|intra|intranet|localdomain|consul|private|home\\.arpa|rds\\.amazonaws\\.com|compute\\.amazonaws\\.com|cache\\.amazonaws\\.com|database\\.windows\\.net|documents\\.azure\\.com|mongodb\\.net';

export const DIAGNOSTIC_RULES: readonly DiagnosticRule[] = [
  // Stack frames and the runtimes they belong to.
  rule(
    'stack',
    ['at '],
    /\bat (?:async |new )?[\w$<>.`[\]]{1,200}(?: \[as [^\]\n]{1,80}\])? ?\((?:[^()\n]{0,300}:\d{1,7}|<anonymous>|native|unknown|[\w$]{1,80}\.(?:java|kt|scala|groovy)|Native Method|Unknown Source)/,
  ),
  rule('stack', ['at '], /\bat [\w$<>`]{1,100}(?:[.+][\w$<>`[\]]{1,100}){1,20}\(/),
  rule('stack', ['at '], /\bat (?:file:|node:|async |webpack|\/|[A-Za-z]:\\)/),
  rule(
    'stack',
    ['.', ':'],
    new RegExp(String.raw`[\w)\]-]${CODE_FILE}(?::\d{1,7}\b|\(\d{1,7}[,)]|["']?(?:</b>)?,? (?:on )?line \d{1,7})`, 'i'),
  ),
  rule('stack', ['line '], /\b(?:File|in file|in) ["'][^"'\n]{1,300}["'],? (?:on )?line \d/i),
  rule(
    'stack',
    [
      'traceback',
      'stack trace',
      'stacktrace',
      'goroutine ',
      'caused by:',
      'panicked at',
      'panic: ',
      'exception in thread',
      'uncaught',
      'unhandled',
      'runtime error:',
      'segmentation fault',
      'core dumped',
      'addresssanitizer',
      'node:internal',
      'backtrace',
      'more frames',
      'frames omitted',
      'inner exception',
    ],
    /traceback|stack ?trace|goroutine \d|caused by: ?\S|panicked at|panic: |exception in thread|uncaught|unhandled ?(?:exception|rejection)|runtime error:|segmentation fault|core dumped|addresssanitizer|node:internal|backtrace|more frames|frames omitted|inner exception/i,
  ),
  rule(
    'stack',
    ['::', 'concurrent map', 'after throwing'],
    /(?:^|\n)\s{0,12}\d{1,4}: [\w<>]{1,100}::[\w:<>{}]{1,200}|\b[a-z_]\w{0,60}(?:::\w{1,60}){0,6}::\w{0,60}(?:Error|Exception)\b|\bstd::[a-z_]{3,60}|concurrent map (?:read|write|iteration)|terminate called after throwing/,
  ),
  rule('stack', ['... '], /\.\.\. \d{1,5} (?:more|common frames)/),
  rule('stack', ['#'], /(?:^|\s|\\n)#\d{1,4} {1,4}(?:0x[0-9a-f]+|\S{1,200}\(\d{1,7}\):|\{main\}|[\w:<>~]{1,200} ?\()/),
  rule(
    'exception class',
    ['error', 'exception', 'fault', 'failure'],
    /\b[a-z_]\w{0,60}(?:\.\w{1,60}){0,10}\.[A-Z]\w{0,60}(?:Error|Exception|Fault|Failure)\b/,
  ),
  rule(
    'exception class',
    ['exception', 'error', '::'],
    /\b(?:System|Microsoft|Npgsql|MySql|Newtonsoft|MongoDB|StackExchange)(?:\.\w{1,60}){1,10}(?:Exception|Error)\b|\b[A-Z]\w{0,60}(?:::[A-Z]\w{0,60}){1,6}(?:Error|Exception|Invalid|NotFound|NotUnique)?: |\b[\w\\]{1,100}\\\w{1,60}Exception\b/,
  ),
  rule(
    'exception class',
    ['exception', 'error'],
    /\b(?:NullPointer|ClassCast|IllegalState|IndexOutOfBounds|ArrayIndexOutOfBounds|NullReference|StackOverflow|OutOfMemory|ConcurrentModification|NumberFormat|SQL|IO|PDO)(?:Exception|Error)\b/,
  ),
  rule(
    'runtime',
    [
      'cannot read propert',
      'is not a function',
      'has no attribute',
      'nonetype',
      'undefined method',
      'nil pointer',
      'object reference not set',
      'heap out of memory',
      'is not iterable',
      'call to a member function',
      'call to undefined',
      'maximum call stack',
      'of undefined',
      'of null',
      'nil:nilclass',
      'is not defined',
      'unexpected keyword argument',
      'positional argument',
    ],
    /cannot read propert|\S is not a function|has no attribute|nonetype|undefined (?:local variable or )?method|nil pointer|object reference not set|heap out of memory|is not iterable|call to (?:a member|undefined)|maximum call stack|propert\w+ of (?:undefined|null)|nil:nilclass|(?:name|referenceerror).{1,60}is not defined|unexpected keyword argument|\d positional argument/i,
  ),
  rule(
    'serialised stack',
    ['stack', 'trace', 'errno', 'syscall', 'sqlstate', 'sqlmessage', 'innerexception', 'exceptiontype'],
    /["'](?:stack|stack_?trace|trace|traceback|errno|syscall|sql_?state|sql_?message|inner_?exception|exception_?type)\\?["'] ?[:=]/i,
  ),

  // Paths.
  rule(
    'path',
    ['/'],
    new RegExp(String.raw`${START}\/(?:(?:${ROOTS})(?:\/|$|[\s"'\`),:;])|(?:${ROOTS_WITH_MORE})\/[\w.-])`),
  ),
  rule(
    'path',
    ['/'],
    new RegExp(
      String.raw`${START}\/(?:${AMBIGUOUS_ROOTS})\/(?:[\w@.+-]{1,100}\/){0,20}[\w@+-]{0,100}\.[A-Za-z]\w{0,7}\b`,
    ),
  ),
  rule(
    'path',
    ['/'],
    new RegExp(
      String.raw`${START}\/(?:[\w@.+-]{1,100}\/){1,20}[\w@+.-]{1,100}(?:${CODE_FILE}|\.(?:conf|cfg|ini|env|toml|log|db|sqlite3?|pem|key|crt|sock|so|jar|war|class|dll|lock|bak|properties))\b`,
    ),
  ),
  rule(
    'path',
    [
      '~/',
      'file:/',
      'node_modules',
      'site-packages',
      'dist-packages',
      '/.',
      'vendor/bundle',
      '.venv',
      '__pycache__',
      'webpack',
    ],
    /(?:^|[\s"'`(=])~\/[\w.]|file:\/{1,3}\w|node_modules[\\/]|(?:site|dist)-packages|\/\.(?:env|git|ssh|aws|kube|npm|cache|config|docker)\b|vendor\/bundle|\.venv[\\/]|__pycache__|webpack(?:-internal)?:\/\//,
  ),
  rule(
    'path',
    [':\\', ':/', '\\\\'],
    /(?:^|[^A-Za-z])[A-Za-z]:\\{1,2}[\w$.(-]|(?:^|[\s"'`(=])[A-Za-z]:\/(?!\/)\w|\\\\[\w.$-]{1,100}\\[\w$.-]/,
  ),

  // Databases.
  rule(
    'database',
    [
      'sqlstate',
      'ora-',
      'pls-',
      'sql error',
      'sqlite_',
      'er_',
      'e11000',
      'msg ',
      'sqlcode',
      'psql:',
      'pg::',
      'pg_',
      'pq:',
      'tns:',
    ],
    /sqlstate|\b(?:ORA|PLS|TNS)-\d{4,5}\b|\bSQL error\b|\bSQLITE_[A-Z]|\bER_[A-Z_]{4,60}\b|\bE11000\b|\bMsg \d{1,6}, Level \d|\bSQLCODE\b|\bPG::|\bpg_[a-z_]{3,40}\b|\bpsql:|\bpq: |TNS:/i,
  ),
  rule(
    'database',
    [
      'relation ',
      'column ',
      'constraint',
      'sql syntax',
      'syntax error at',
      'unknown column',
      'table ',
      'no such ',
      'incorrect syntax',
      'unclosed quotation',
      'invalid column name',
      'invalid object name',
      'deadlock',
      'access denied for user',
      'password authentication',
      'role ',
      'database ',
      'schema ',
      'lock wait timeout',
      'statement timeout',
      'duplicate entry',
      'database is locked',
      'remaining connection slots',
      'too many connections',
    ],
    /\brelation "[^"\n]{1,100}"|\bcolumn \\?["'`]?[\w."]{1,100}\\?["'`]? (?:of relation|does not exist|cannot be null|is ambiguous)|violates [\w -]{1,20}constraint|constraint failed|error in your sql syntax|syntax error at or near|unknown column '[^'\n]{1,100}' in '|table ['"`][^'"`\n]{1,100}['"`] (?:doesn't|does not|already) exist|no such (?:table|column|index|function):|incorrect syntax near|unclosed quotation|invalid (?:column|object) name|deadlock (?:found|detected)|deadlocked|access denied for user|password authentication failed|\brole "[^"\n]{1,100}" (?:does|is)|database "[^"\n]{1,100}"|permission denied for (?:table|relation|schema|database|sequence|view|function)|lock wait timeout|due to statement timeout|duplicate entry '|database is locked|remaining connection slots|too many connections/i,
  ),
  rule(
    'database',
    [
      'primary key constraint',
      'unique key constraint',
      'duplicate key',
      'cannot open server',
      'requested by the login',
    ],
    /(?:primary|unique) key constraint '|insert duplicate key|duplicate key value|cannot open server|requested by the login/i,
  ),
  rule(
    'database',
    [
      'jdbc',
      'odbc',
      'psycopg',
      'pdo',
      'sqlalchemy',
      'prisma',
      'sequelize',
      'typeorm',
      'knex',
      'queryfailed',
      'hibernate',
      'activerecord',
      'mongoserver',
      'mongonetwork',
      'mongoerror',
      'redis',
      'wrongtype',
      'noauth ',
      'misconf',
      'oom command',
      'mysql',
      'postgres',
      'mariadb',
      'sqlite3',
      'clickhouse',
      'elasticsearch',
      'index_not_found',
      'cassandra',
      'memcached',
    ],
    /\b(?:jdbc|odbc|psycopg2?|pdo|sqlalchemy|prisma\w*|sequelize\w*|typeorm|knex|queryfailederror|hibernate|activerecord|mongo(?:server|network|bulkwrite)?error|redis(?:error|connection\w*)|replyerror|wrongtype operation|noauth authentication|misconf|oom command|mysqld?|mysql server|postgres(?:ql)?|mariadb|sqlite3|clickhouse|elasticsearch|index_not_found\w*|cassandra|memcached)\b.{0,80}?(?:error|exception|fail|refus|denied|gone away|version|driver|key against|requested|server|invalid|unable|not_found|:|\])/i,
  ),
  rule(
    'sql',
    ['select ', 'insert into', 'update ', 'delete from', 'line 1:'],
    /\bSELECT\s[^\n]{1,200}?\sFROM\s+["'`\w[]|\bINSERT INTO\s+["'`\w.]{1,100}\s*\(|\bUPDATE\s+["'`\w.]{1,100}\s+SET\s|\bDELETE FROM\s+["'`\w.]{1,100}\s+WHERE|\bLINE 1: /,
  ),

  // Network.
  rule(
    'socket error',
    [
      'econn',
      'enotfound',
      'etimedout',
      'ehostunreach',
      'enetunreach',
      'eai_again',
      'epipe',
      'enoent',
      'eacces',
      'eperm',
      'eaddrinuse',
      'enospc',
      'emfile',
      'eisdir',
      'enotdir',
      'erofs',
      'eproto',
      'ebusy',
      'eexist',
      'err_',
      'und_err',
      'getaddrinfo',
      'socket hang up',
      'connection refused',
      'connection reset',
      'dial tcp',
      'no such host',
      'i/o timeout',
      'name or service not known',
      '[errno',
      'errno ',
      'winerror',
      'max retries exceeded',
      'connectionpool',
      'newconnectionerror',
      'upstream connect error',
      'disconnect/reset',
      'broken pipe',
      'no route to host',
      'temporary failure in name resolution',
      'nodename nor servname',
      'network is unreachable',
      'econ',
    ],
    /\b(?:ECONN[A-Z]+|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_\w+|EPIPE|ENOENT|EACCES|EPERM|EADDRINUSE|EADDRNOTAVAIL|ENOSPC|EMFILE|ENFILE|EISDIR|ENOTDIR|EROFS|EPROTO|EBUSY|EEXIST|ERR_[A-Z_]{4,60}|UND_ERR\w*)\b|getaddrinfo|socket hang up|connection (?:refused|reset)|dial tcp|no such host|i\/o timeout|name or service not known|\[?errno:? -?\d|winerror|max retries exceeded|connectionpool|newconnectionerror|upstream connect error|disconnect\/reset|broken pipe|no route to host|failure in name resolution|nodename nor servname|network is unreachable/i,
  ),
  rule(
    'tls',
    [
      'x509',
      'certificate',
      'ssl routines',
      'openssl',
      'error:0',
      'self-signed',
      'self signed',
      'unable_to_',
      'handshake',
    ],
    /x509:|certificate verify failed|ssl routines|openssl|error:0[0-9A-F]{7}|self[- ]signed certificate|UNABLE_TO_[A-Z_]{4,60}|(?:tls|ssl)\w* handshake|unable to get (?:local )?issuer|(?:^|: )certificate has expired|CERT_HAS_EXPIRED/i,
  ),
  rule(
    'address',
    ['.'],
    /(?:^|[^\d.])(?:10(?:\.\d{1,3}){3}|127(?:\.\d{1,3}){3}|169\.254(?:\.\d{1,3}){2}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])(?:\.\d{1,3}){2}|0\.0\.0\.0)(?![\d.]*\d)/,
  ),
  rule(
    'address',
    [':'],
    /\b\d{1,3}(?:\.\d{1,3}){3}:\d{1,5}\b|\[[0-9a-f:.]{2,45}(?:%\w{1,20})?\]:\d{1,5}|(?:^|[\s"'(=@])(?:::1\b|fe80:|f[cd][0-9a-f]{2}:[0-9a-f:]{2,40})/i,
  ),
  rule('host', ['localhost'], /\blocalhost(?::\d|\.localdomain|\/)|\/\/localhost|@localhost|host[= ]"?localhost/i),
  rule(
    'host',
    [':'],
    /\b(?:[a-z0-9][a-z0-9-]{0,62}\.){1,8}[a-z][a-z0-9-]{0,62}:\d{2,5}\b|\b[a-z][\w-]{1,62}:(?:80|443|1433|1521|2181|2375|2379|3000|3306|4000|5000|5432|5433|5601|5672|6379|6380|6432|6443|7000|7687|8000|8080|8081|8086|8123|8200|8443|8500|8888|9000|9042|9090|9092|9093|9200|9300|10250|11211|15672|26379|27017|50051)\b(?!:)/i,
  ),
  rule('host', ['://'], /\bhttps?:\/\/(?:[\w-]{1,63}(?=[/:?#\s"'`),]|$)|[^\s/"'`]{1,255}:\d{2,5}\b)/i),
  rule('host', ['.'], new RegExp(String.raw`\b[a-z0-9][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}\.(?:${INTERNAL})\b`, 'i')),
  rule('host', ['ip-', 'i-0'], /\bip-\d{1,3}(?:-\d{1,3}){3}\b|\bi-0[0-9a-f]{8,16}\b/),
  rule(
    'connection string',
    ['://'],
    /\b(?:postgres(?:ql)?(?:\+\w+)?|mysql(?:\+\w+)?|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|ldaps?|kafka|mssql(?:\+\w+)?|sqlserver|sqlite|nats|memcached|smtps?|clickhouse|cassandra|bolt|neo4j|tcp|udp|unix|grpcs?|ssh|oracle):\/\/|\b[a-z][a-z0-9+.-]{1,30}:\/\/[^\s/:@"']{0,200}:[^\s@/"']{0,200}@/i,
  ),
  rule(
    'connection string',
    ['='],
    /\b(?:data source|server|host|user id|uid|password|pwd|initial catalog|database|accountkey|sharedaccesskey(?:name)?|accountname|endpoint)=[^;\s]{1,200};|\b(?:host|hostaddr|dbname|port|user|sslmode)=\S{1,200}[ ,]+(?:host|port|user|dbname|password|sslmode|database)=/i,
  ),

  // Environment and process.
  rule(
    'environment',
    ['='],
    /\b(?:PATH|HOME|PWD|HOSTNAME|USER|SHELL|NODE_ENV|PYTHONPATH|LD_LIBRARY_PATH|JAVA_HOME|GOPATH|LANG|KUBERNETES_\w{1,60}|AWS_\w{1,60}|AZURE_\w{1,60}|GOOGLE_\w{1,60}|npm_\w{1,60})=\S/,
  ),
  rule(
    'environment',
    ['key', 'secret', 'token', 'passw', 'pwd', 'credential', 'dsn', '_url', 'bearer', 'akia', '-----begin'],
    /\b[A-Z][A-Z0-9_]{0,60}(?:KEY|SECRET|TOKEN|PASSWORD|PASSWD|PWD|CREDENTIALS?|DSN|_URL)["']?\s{0,3}[=:]\s{0,3}["']?[^\s"']|\b(?:password|passwd|pwd|secret|api_?key|access_?token)=\S|\bBearer [\w.~+/-]{8}|\bAKIA[0-9A-Z]{12}|-----BEGIN /,
  ),
  rule(
    'process',
    ['pid', 'exit', 'command failed', 'spawn ', 'sig', 'oomkill', 'worker'],
    /\bpid[=: ]{1,2}\d|\[pid \d|command failed:|\bspawn \S{1,200} E|\bSIG(?:SEGV|KILL|ABRT|TERM|BUS)\b|oomkilled|exited with (?:code|status)|exit (?:status|code):? \d/i,
  ),
  rule('memory address', ['0x'], /\b0x[0-9a-fA-F]{8,16}\b/),
  rule(
    'platform',
    ['linux', 'node.js v', 'darwin', 'windows nt'],
    /x86_64|linux-gnu|\bNode\.js v\d|\bdarwin\d|windows nt \d|aarch64-|\bLinux version \d/i,
  ),

  // Pages and logs.
  rule(
    'error page',
    ['<'],
    /<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]|<title>|<pre[\s>]|<h1[\s>]|<\?xml[^>]{0,100}\?>\s{0,20}<(?:Error|soap)|<soap:Fault|<faultstring/i,
  ),
  rule(
    'banner',
    ['/'],
    /\b(?:nginx|apache|openresty|gunicorn|uvicorn|hypercorn|werkzeug|express|kestrel|microsoft-iis|jetty|tomcat|undertow|caddy|envoy|haproxy|php|python|cpython|python-requests|aiohttp|okhttp|openssl|django|rails|puma|axios|undici|node|cloudfront|varnish)\/v?\d/i,
  ),
  rule(
    'log line',
    ['error', 'warn', 'debug', 'info', 'fatal', 'trace'],
    /\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d{3,9}Z?.{0,60}\b(?:ERROR|WARN|WARNING|DEBUG|INFO|FATAL|TRACE)\b|\b(?:ERROR|WARN|DEBUG|INFO|FATAL)\s{0,3}\[[\w.:-]{1,100}\]|\[(?:ERROR|WARN|DEBUG|FATAL)\]/,
  ),
  // What else real systems say of their inside: one rule per family, each phrase with a literal of its own.
  rule(
    'exception class',
    ['exception', 'error'],
    /\b[A-Z][a-z]\w{2,60}Exception\b|\b(?:Key|Attribute|Type|Reference|Runtime|Index|Name|ModuleNotFound|Import|FileNotFound|Permission|OS|IO|Memory|Recursion|Operational|Integrity|Programming|Interface|NoMethod|Unicode\w{6}|JSONDecode|Axios|Assertion|ZeroDivision|Connection)Error\b/,
  ),
  rule(
    'stack',
    ['panicked', 'unhandled promise', 'at <anonymous>', 'cuda error', 'require stack:', 'cannot find module'],
    /panicked|unhandled promise|at <anonymous>|cuda error|require stack:|cannot find module/i,
  ),
  rule(
    'database',
    [
      'error ',
      'error: p',
      'fatal: ',
      'too many clients',
      'canceling statement',
      'invalid input syntax',
      'unknown database',
      'login failed',
      'unique constraint',
      'restarting transaction',
      'hikaripool',
      'connection pool',
      'cannot open database',
      'pg_hba',
      'no such index',
    ],
    /\bERROR \d{4} \(\w{5}\)|\bP[12]0\d\d\b|\bFATAL: |too many clients|canceling statement|invalid input syntax for|unknown database|login failed for user|unique constraint|restarting transaction|hikaripool|connection pool|cannot open database|pg_hba|no such index/i,
  ),
  rule(
    'host',
    ['arn:', 'crashloop', '-', 'rpc error', 'while dialing', 'docker daemon'],
    /\barn:aws[\w-]{0,10}:|crashloopbackoff|\b[a-z][a-z0-9-]{1,60}-[0-9a-f]{8,10}-[a-z0-9]{5}\b|rpc error: code|while dialing|docker daemon/i,
  ),
  rule(
    'environment',
    ['environment', 'is not set', 'missing', 'required', 'undefined'],
    /environment variable|\b[A-Z][A-Z0-9]{0,40}_[A-Z0-9_]{2,60} (?:is|was) (?:not set|missing|undefined|required|empty)|(?:missing|required):? [A-Z][A-Z0-9]{0,40}_[A-Z0-9_]{2,60}(?:KEY|SECRET|TOKEN|PASSWORD|URL|DSN|HOST|PORT)\b/,
  ),
  rule(
    'process',
    ['command not found', 'no such file or directory', 'bash:', 'sh:', 'execution time of'],
    /command not found|no such file or directory|\b(?:ba|z)?sh: (?:line )?\S|execution time of \d/i,
  ),
  rule(
    'error page',
    ['<error>', 'whitelabel', 'werkzeug', 'django', 'server error in', 'microsoft .net'],
    /<error>\s{0,5}<code>|whitelabel error page|werkzeug|django settings|server error in '|microsoft \.net/i,
  ),
  rule('socket error', ['timeout of '], /timeout of \d{1,9} ?ms exceeded/i),
];

/** Names of members that hold diagnostics whatever their text looks like. */
const MEMBERS = new Set([
  'stack',
  'stacktrace',
  'stack_trace',
  'traceback',
  'trace',
  'errno',
  'syscall',
  'sqlstate',
  'sqlmessage',
  'innerexception',
  'exception',
  'argv',
  'cwd',
  'hostname',
  'pid',
]);

/** A longer failure is a dump, not a message: judging it would cost more than it is worth. Characters. */
export const LONGEST_JUDGED = 16_384;

/** True for member names such as `stack` or `sqlState`: their value is diagnostics. */
export function isDiagnosticMember(name: string): boolean {
  return MEMBERS.has(name.toLowerCase());
}

/**
 * @param text attacker-influenced, of any length
 * @returns the kind of diagnostics it carries, or null
 */
export function diagnosticsIn(text: string): string | null {
  if (text.length > LONGEST_JUDGED) return 'dump';
  const plain = text.includes('\u001b') ? text.replace(/\u001b\[[0-9;]{0,20}[A-Za-z]/g, '') : text;
  const found = match(plain);
  if (found !== null) return found;
  // The same once more below one layer of quoting: JSON inside a message, a percent-encoded path, an escaped page.
  const opened = openQuoting(plain);
  return opened === plain ? null : match(opened);
}

function match(text: string): string | null {
  const lower = text.toLowerCase();
  for (const { kind, literals, pattern } of DIAGNOSTIC_RULES) {
    if (literals.some((literal) => lower.includes(literal)) && pattern.test(text)) return kind;
  }
  return null;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '"': '"',
  "'": "'",
  '/': '/',
  '\\': '\\',
};
const ENTITIES: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  quot: '"',
  amp: '&',
  '#x2f': '/',
  '#47': '/',
  '#39': "'",
};

function openQuoting(text: string): string {
  let opened = text;
  if (opened.includes('\\')) {
    opened = opened.replace(/\\(u[0-9a-fA-F]{4}|[ntr"'/\\])/g, (_all, code: string) =>
      code.length === 5 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : ESCAPES[code]!,
    );
  }
  if (opened.includes('%')) {
    opened = opened.replace(/%([2-7][0-9a-fA-F])/g, (_all, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
  }
  if (opened.includes('&')) {
    opened = opened.replace(
      /&(lt|gt|quot|amp|#x2f|#47|#39);/gi,
      (all, name: string) => ENTITIES[name.toLowerCase()] ?? all,
    );
  }
  return opened;
}
