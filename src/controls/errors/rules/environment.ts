import { type DiagnosticRule, rule } from './rule.ts';

/** The environment of a process, and the process itself. */
export const ENVIRONMENT_RULES: readonly DiagnosticRule[] = [
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
];
