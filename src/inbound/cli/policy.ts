import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Authorization,
  authorizationSettings,
  differences,
  Engine,
  inspect,
  openAuthorization,
  principalOf,
  principalShape,
  type Rehearsal,
  type Rule,
  readDecisionCases,
  readPolicyFolder,
  rehearse,
  targetOf,
  targetShape,
} from '../../controls/authorization/index.ts';
import { InternalError, SettingsError } from '../../core/internal-error.ts';
import { readSection } from '../../core/settings.ts';
import { withReader } from './audit/home.ts';
import { type Command, type Io, optionTrouble, wrongUse } from './command.ts';
import { cedarOf, type Observed, observed } from './policy-draft.ts';

const usage = `usage: gatewrit policy lint [--home D] [--json]
       gatewrit policy test [FILE|FOLDER …] [--home D] [--json]
       gatewrit policy explain SERVER/NAME --needs SCOPES [--scope SCOPES] [--groups G] … [--json]
       gatewrit policy draft [--out FILE] [--limit N] [--home D] [--json]

lint     checks scopes.yaml and *.cedar under <home>/policy; exit 1 when there is anything to mend
test     plays decisions written as data (default: <home>/policy/tests/*.yaml); exit 1 when one comes out otherwise
explain  says what would be decided, and by which rules; exit 1 when the call would be refused
draft    writes Cedar from the calls of the audit log: what was seen, by whom, and nothing else; for a person to review.
         Says on stderr what would have been refused while controls were in observe mode; exit 1 when nothing was seen

options
  --home D          state folder (default .gatewrit); the policy lies in <home>/policy
  --scope SCOPES    scopes of the token, divided by blanks
  --groups G        groups of the person, divided by commas
  --subject S, --client C, --tenant T, --proof bearer|dpop|mtls|none
  --needs SCOPES    scopes the operation names, divided by blanks
  --kind K          tool (default), prompt, resource, template or admin
  --effect E        read (default), write or destructive
  --targets FILE    take the operation from a JSON list of {server, name, kind, effect, scopes} instead of --needs …
  --arguments JSON  arguments of the call (default {})
  --at TIME         when, RFC 3339 in UTC (default now)
  --out FILE        where the draft goes (default stdout); never over a file that is there
  --limit N         how many of the last records draft reads (default 100000)
  --json            machine-readable answer

example
  gatewrit policy lint --home .gatewrit
  gatewrit policy explain internal-readonly/s3_list --needs "s3:list" --scope "s3:list jira:read"
`;

const OPTIONS = {
  home: { type: 'string', default: '.gatewrit' },
  scope: { type: 'string', default: '' },
  groups: { type: 'string', default: '' },
  subject: { type: 'string' },
  client: { type: 'string' },
  tenant: { type: 'string' },
  proof: { type: 'string' },
  needs: { type: 'string' },
  kind: { type: 'string' },
  effect: { type: 'string' },
  targets: { type: 'string' },
  arguments: { type: 'string', default: '{}' },
  at: { type: 'string' },
  out: { type: 'string' },
  limit: { type: 'string', default: '100000' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parse>['values'];
const parse = (args: string[]) => parseArgs({ args, allowPositionals: true, options: OPTIONS });

/** Lint, test and explain the policy folder; works without a running gateway. */
export const policyCommand: Command = {
  name: 'policy',
  summary: 'lint, test and explain policy',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    let given: ReturnType<typeof parse>;
    try {
      given = parse(argv);
    } catch (error) {
      return wrongUse(io, 'policy', optionTrouble(error) ?? (error as Error).message);
    }
    const [verb, ...rest] = given.positionals;
    if (given.values.help) {
      io.stdout(usage);
      return 0;
    }
    try {
      if (verb === 'lint' && rest.length === 0) return await lint(given.values, io);
      if (verb === 'test') return await test(rest, given.values, io);
      if (verb === 'draft' && rest.length === 0) return await draft(given.values, io);
      if (verb === 'explain' && rest.length === 1) return await explain(rest[0]!, given.values, io);
    } catch (error) {
      if (error instanceof WrongUse) return wrongUse(io, 'policy', error.message);
      if (!(error instanceof InternalError) || error.kind === 'bug') throw error;
      io.stderr(`gatewrit policy: ${error.message}\n`);
      return 3;
    }
    return wrongUse(io, 'policy', 'say lint, test, draft or explain SERVER/NAME');
  },
};

class WrongUse extends Error {}

async function lint({ home, json }: Values, io: Io): Promise<number> {
  const folder = join(home, 'policy');
  if (!existsSync(folder)) throw new SettingsError(`there is no ${folder}; gatewrit start or init makes one`);
  const found = await readFindings(folder);
  const good = found.findings.length + found.warnings.length === 0;
  if (json) io.stdout(`${JSON.stringify({ good, ...found })}\n`);
  else {
    for (const finding of found.findings) io.stdout(`error    ${finding}\n`);
    for (const warning of found.warnings) io.stdout(`warning  ${warning}\n`);
    if (good) io.stdout(`good: ${found.rules} rules, ${found.scopes} scopes, policy ${found.version}\n`);
  }
  return good ? 0 : 1;
}

async function readFindings(folder: string) {
  try {
    const { bundle, findings, warnings } = inspect(await Engine.open(), await readPolicyFolder(folder));
    const { version = null, rules = [], catalogue } = bundle ?? {};
    return { findings, warnings, rules: rules.length, scopes: catalogue?.scopes.size ?? 0, version };
  } catch (fault) {
    if (!(fault instanceof SettingsError)) throw fault;
    return { findings: fault.message.split('\n'), warnings: [], rules: 0, scopes: 0, version: null };
  }
}

interface Played {
  readonly file: string;
  readonly description: string;
  readonly pass: boolean;
  readonly differences: readonly string[];
}

async function test(paths: readonly string[], { home, json }: Values, io: Io): Promise<number> {
  const files = (paths.length > 0 ? paths : [join(home, 'policy', 'tests')]).flatMap(filesIn);
  const authorization = await open(home);
  const played: Played[] = [];
  for (const file of files) {
    for (const one of readDecisionCases(file, readFileSync(file, 'utf8'))) {
      const found = differences(one.expect, await rehearse(authorization, one));
      played.push({ file, description: one.description, pass: found.length === 0, differences: found });
    }
  }
  authorization.close();
  if (played.length === 0) throw new SettingsError('there is no decision to play');
  const failed = played.filter((one) => !one.pass).length;
  if (json) io.stdout(`${JSON.stringify({ good: failed === 0, decisions: played })}\n`);
  else {
    for (const one of played) {
      io.stdout(`${one.pass ? 'PASS' : 'FAIL'}  ${one.description}\n`);
      for (const difference of one.differences) io.stdout(`      ${one.file}: ${difference}\n`);
    }
    io.stdout(`${played.length - failed} of ${played.length} decisions come out as written\n`);
  }
  return failed === 0 ? 0 : 1;
}

function filesIn(path: string): string[] {
  if (!existsSync(path)) throw new SettingsError(`${path} does not exist; name a file or folder of decisions to play`);
  if (!statSync(path).isDirectory()) return [path];
  const files = readdirSync(path).filter((file) => file.endsWith('.yaml'));
  return files.sort().map((file) => join(path, file));
}

async function explain(key: string, values: Values, io: Io): Promise<number> {
  const { target, principal } = asWrittenBy(() => ({
    target: targetFrom(key, values),
    principal: principalFrom(values),
  }));
  const asked = { principal, target, arguments: argumentsFrom(values), at: values.at ?? new Date().toISOString() };
  if (Number.isNaN(Date.parse(asked.at))) throw new WrongUse('--at is a time like 2026-01-31T12:00:00Z');
  const authorization = await open(values.home);
  const came = await rehearse(authorization, asked);
  const pinned = targetOf(target);
  const visibility = authorization.visible(principalOf(principal), pinned);
  const rules = authorization.rulesFor(pinned);
  authorization.close();
  if (values.json) io.stdout(`${JSON.stringify({ target: key, visibility, ...came, mayApply: rules.map(plain) })}\n`);
  else io.stdout(sentences(key, visibility, came, rules));
  return came.verdict === 'allowed' ? 0 : 1;
}

async function draft({ home, out, limit, json }: Values, io: Io): Promise<number> {
  if (!/^[1-9][0-9]{0,7}$/.test(limit)) throw new WrongUse('--limit is a whole number');
  if (out !== undefined && existsSync(out)) throw new WrongUse(`${out} is there already`);
  const found = await withReader(home, async (reader) => observed(await reader.last(Number(limit))));
  for (const [code, times] of found.wouldRefuse)
    io.stderr(`would have been refused: ${code} ${times} ${times === 1 ? 'time' : 'times'}\n`);
  if (found.seen.length === 0) {
    io.stderr('gatewrit policy: the audit log holds no call yet\n');
    return 1;
  }
  const text = json ? `${JSON.stringify(plainly(found))}\n` : cedarOf(found);
  if (!json) await mustLoad(text, home);
  if (out === undefined) io.stdout(text);
  else {
    writeFileSync(out, text, { flag: 'wx', mode: 0o600 });
    io.stderr(`written for review: ${out}\n`);
  }
  return 0;
}

/** A draft of ours that would not load is our bug, not something for the operator to find out. */
async function mustLoad(text: string, home: string): Promise<void> {
  const { scopes } = await readPolicyFolder(join(home, 'policy'));
  const [finding] = inspect(await Engine.open(), { scopes, cedar: [{ file: 'draft.cedar', text }] }).findings;
  if (finding !== undefined)
    throw new InternalError('policy.draft', `the draft does not load: ${finding}`, { kind: 'bug' });
}

function plainly({ seen, wouldRefuse }: Observed) {
  const targets = seen.map(({ people, lacked, denied, rules, ...one }) => ({
    ...one,
    people: Object.fromEntries([...people].map(([issuer, subjects]) => [issuer, [...subjects].sort()])),
    lacked: Object.fromEntries(lacked),
    denied: Object.fromEntries(denied),
    rules: [...rules],
  }));
  return { targets, wouldRefuse: Object.fromEntries(wouldRefuse) };
}

function sentences(key: string, visibility: string, came: Rehearsal, rules: readonly Rule[]): string {
  const decided = new Set(came.rules);
  const lines = [`${key}: ${came.verdict} (listed as ${visibility})`];
  if (came.approval) lines.push(`  needs an approval by rule "${came.approval}"`);
  if (came.redaction) lines.push(`  redacted by profile "${came.redaction}"`);
  if (came.maxResultBytes) lines.push(`  result cut at ${came.maxResultBytes} bytes`);
  if (came.scopes) lines.push(`  needs all of: ${came.scopes.join(' ')}`);
  if (came.text) lines.push(`  the caller reads: ${came.text}`);
  if (came.path) lines.push(`  about the argument ${came.path}`);
  if (came.evidence) lines.push(`  the record says: ${came.evidence}`);
  lines.push('rules that may apply (* decided)');
  for (const rule of rules) {
    const { id, effect, place, description } = plain(rule);
    lines.push(
      `  ${decided.has(id) ? '*' : ' '} ${effect.padEnd(10)}  ${id}  ${place}${description ? `  ${description}` : ''}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function plain(rule: Rule) {
  const effect = rule.obligation ? 'obligation' : rule.effect;
  return { id: rule.id, effect, place: `${rule.file}:${rule.line}`, description: rule.description };
}

function open(home: string): Promise<Authorization> {
  return openAuthorization({
    settings: authorizationSettings.parse({}),
    folder: join(home, 'policy'),
    now: () => ({ utc: Date.now(), mono: performance.now() }),
  });
}

function principalFrom({ scope, groups, subject, client, tenant, proof }: Values) {
  const given = { scopes: words(scope), groups: groups.split(',').filter(Boolean), subject, client, tenant, proof };
  return readSection('principal', principalShape, present(given));
}

function targetFrom(key: string, { needs, kind, effect, tenant, targets }: Values) {
  const slash = key.indexOf('/');
  if (slash <= 0) throw new WrongUse('name the operation as SERVER/NAME');
  const named = { server: key.slice(0, slash), name: key.slice(slash + 1) };
  if (targets !== undefined) return targetIn(targets, named, kind);
  if (needs === undefined) throw new WrongUse('say which scopes the operation names: --needs "a:b", or --targets FILE');
  return readSection('target', targetShape, present({ ...named, scopes: words(needs), kind, effect, tenant }));
}

function targetIn(file: string, named: { server: string; name: string }, kind: string | undefined) {
  const list: unknown = parseJson(readOrRefuse(file), file);
  if (!Array.isArray(list)) throw new WrongUse(`${file} holds no JSON list`);
  const all = list.map((one, index) => readSection(`${file}[${index}]`, targetShape, one));
  const found = all.find(
    (one) => one.server === named.server && one.name === named.name && (!kind || one.kind === kind),
  );
  if (!found) throw new WrongUse(`${file} does not hold ${named.server}/${named.name}`);
  return found;
}

function readOrRefuse(file: string): string {
  if (!existsSync(file)) throw new WrongUse(`${file} does not exist`);
  return readFileSync(file, 'utf8');
}

function argumentsFrom(values: Values): Record<string, unknown> {
  const read = parseJson(values.arguments, '--arguments');
  if (typeof read !== 'object' || read === null || Array.isArray(read))
    throw new WrongUse('--arguments is a JSON object');
  return read as Record<string, unknown>;
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new WrongUse(`${what} is not JSON`);
  }
}

/** What was written on the command line is wrong use, not a policy that cannot be read. */
function asWrittenBy<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof SettingsError ? new WrongUse(error.message) : error;
  }
}

const words = (text: string) => text.split(' ').filter(Boolean);

function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
