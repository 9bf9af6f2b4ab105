import { CODE_FILE, type DiagnosticRule, rule, START } from './rule.ts';

const ROOTS =
  'usr|var|etc|opt|tmp|root|srv|mnt|proc|sys|lib64|sbin|bin|Users|Applications|Volumes|nix|snap|node_modules|builddir|vercel|cnb';
/** Words of web routes too: something has to follow. */
const ROOTS_WITH_MORE = 'home|private|Library|github|runner|secrets|boot|workspace|workspaces|layers';
const AMBIGUOUS_ROOTS =
  'app|apps|src|code|data|run|lib|dev|media|build|dist|work|service|services|server|project|projects|repo';

/** Where files lie on a machine. */
export const PATH_RULES: readonly DiagnosticRule[] = [
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
];
