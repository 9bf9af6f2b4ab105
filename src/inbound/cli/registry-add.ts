import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Configuration } from '../../configuration.ts';
import { serverSettings } from '../../configured-servers.ts';
import { endpointOf, inert, PREFIX, type SchemaPort, SERVER_NAME } from '../../controls/registry/index.ts';
import { openValidation, validationSettings } from '../../controls/validation/index.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { silentLog } from '../../core/log.ts';
import { readSection } from '../../core/settings.ts';
import { openEphemeralMemory } from '../../core/store/ephemeral-memory.ts';
import type { Io } from './command.ts';
import { readReady } from './ready.ts';
import { change, leftOut, manifestOf, openReview, pass, type Review } from './registry-review.ts';
import { inWords } from './registry-words.ts';
import { addToPolicy, type OpenConfiguration, saveConfiguration, setUpstream, signAndPin } from './registry-write.ts';
import { isDevelopment } from './start.ts';

/** How a person answers; null: there is nobody at this terminal. */
export type Ask = (question: string) => Promise<string>;

export interface AddOptions {
  readonly home: string;
  readonly configuration: OpenConfiguration;
  readonly server: string;
  /** Default: the server's name, shortened. */
  readonly prefix: string | undefined;
  /** What stands in `upstreams` of the file; undefined: what already does. */
  readonly upstream: object | undefined;
  /** Takes the place of another upstream of this name. */
  readonly replace: boolean;
  /** Everything that was proposed and has no finding is accepted. */
  readonly accept: boolean;
  /** Changes, as `change` takes them, and ids of findings to let pass. */
  readonly set: readonly string[];
  readonly pass: readonly string[];
  readonly owner: string | undefined;
  readonly json: boolean;
  readonly ask: Ask | null;
}

export interface Added {
  readonly server: string;
  readonly accepted: boolean;
  readonly served: readonly {
    kind: string;
    name: string;
    exposed: string;
    effect: string;
    scopes: readonly string[];
  }[];
  readonly excluded: readonly { kind: string; name: string; reason: string; findings: readonly string[] }[];
  readonly written: readonly string[];
  readonly restart: boolean;
}

/** Tries of a server's first start: a package runner may still be fetching it when the handshake ends. */
const STARTS = 3;

/**
 * One server from a stranger's hands to a signed pin: asked once, shown, reviewed, signed, enabled. The upstream is
 * written last, so that a run that is cut off serves nothing.
 * @throws SettingsError with what to do next
 */
export async function addServer(options: AddOptions, io: Io): Promise<Added> {
  const { server, configuration, home } = options;
  const prefix = options.prefix ?? prefixOf(server);
  if (!SERVER_NAME.test(server) || server === 'gatewrit')
    throw new SettingsError(`"${inert(server, 40)}" cannot be a server's name: take [a-z0-9-], at most 32 characters`);
  if (!PREFIX.test(prefix))
    throw new SettingsError('a prefix is [a-z0-9-], begins with a letter, at most 16 characters');
  const before = configuration.read();
  const there = Object.hasOwn(before.upstreams, server);
  if (options.upstream === undefined && !there)
    throw new SettingsError(
      `there is no upstream "${server}" in ${configuration.file}; say how to reach it: gatewrit registry add ${server} --command "…"`,
    );
  if (options.upstream !== undefined) {
    setUpstream(configuration, server, options.upstream);
    if (there && !options.replace && placeOf(before, server) !== placeOf(configuration.read(), server))
      throw new SettingsError(
        `${configuration.file} has another upstream "${server}"; take another name, or --replace it`,
      );
  }
  const after = configuration.read();
  const live = await askOnce(server, after, home);
  const review = openReview({ server, prefix, live, schemas: schemasOf(after) });
  for (const text of options.set) refuse(change(review, text));
  for (const id of options.pass) refuse(pass(review, id));
  if (!options.json) io.stdout(`\n${inWords(review)}\n`);
  const decided = options.accept ? 'accepted as proposed, with the changes named' : await talk(review, options.ask, io);
  if (decided === null) return outcome(review, { accepted: false, written: [], restart: false });
  const written = await enable(review, { options, after, note: decided });
  return outcome(review, { accepted: true, written, restart: isServing(home) });
}

function refuse(wrong: string | null): void {
  if (wrong !== null) throw new SettingsError(wrong);
}

async function enable(
  review: Review,
  { options, after, note }: { options: AddOptions; after: Configuration; note: string },
): Promise<string[]> {
  const { home, configuration, server } = options;
  const items = review.items.filter((item) => leftOut(review, item) === null);
  if (items.length === 0)
    throw new SettingsError(`nothing of ${server} would be served; see above why, or let a finding pass: --pass ID`);
  const person = options.owner ?? userInfo().username;
  const upstream = after.upstreams[server]!;
  const manifest = manifestOf(review, {
    ...{ owner: person, by: person, at: new Date().toISOString(), note },
    endpoint: endpointOf('stdio' in upstream ? upstream.stdio : upstream.http),
  });
  const policy = await addToPolicy(home, { server, items });
  const pin = await signAndPin(manifest, { home, development: isDevelopment(after) });
  if (options.upstream !== undefined || configuration.isNew) saveConfiguration(configuration);
  return [...policy, pin, ...(options.upstream === undefined ? [] : [configuration.file])];
}

function outcome(review: Review, of: Pick<Added, 'accepted' | 'written' | 'restart'>): Added {
  const served = review.items.filter((item) => leftOut(review, item) === null);
  const out = review.items.filter((item) => leftOut(review, item) !== null);
  return {
    server: review.server,
    ...of,
    served: served.map(({ kind, name, exposed, effect, scopes }) => ({ kind, name, exposed, effect, scopes })),
    excluded: out.map((item) => ({
      ...{ kind: item.kind, name: item.name, reason: leftOut(review, item) ?? '' },
      findings: item.findings.map(({ id }) => id),
    })),
  };
}

/** A prefix as near to the name as a prefix can be. */
export function prefixOf(server: string): string {
  return (
    server
      .replace(/^[^a-z]+/, '')
      .slice(0, 16)
      .replace(/-+$/, '') || 'server'
  );
}

const placeOf = ({ upstreams }: Configuration, server: string) => {
  const upstream = upstreams[server]!;
  return endpointOf('stdio' in upstream ? upstream.stdio : upstream.http);
};

/** The same way of asking as the gateway itself, in a process or connection that is ended at once. */
async function askOnce(server: string, configuration: Configuration, home: string) {
  const { openServer } = await import('../../upstream/servers.ts');
  const { WireFault } = await import('../../upstream/wire.ts');
  const clock = () => ({ utc: Date.now(), mono: performance.now() });
  const upstream = configuration.upstreams[server]!;
  const settings = serverSettings(upstream, configuration, home);
  let evidence = '';
  for (let tries = 0; tries < ('stdio' in upstream ? STARTS : 1); tries++) {
    const live = openServer(server, settings, { clock, log: silentLog, onChanged: () => {}, onEnded: () => {} });
    try {
      const definitions = await live.introspect();
      if (!(definitions instanceof WireFault)) return definitions;
      evidence = definitions.evidence;
      if (definitions.code !== 'timeout') break;
    } finally {
      await live.close();
    }
  }
  throw new SettingsError(`${server} cannot be asked: ${inert(evidence)}. ${nextStep(upstream, evidence)}`);
}

function nextStep(upstream: object, evidence: string): string {
  if ('http' in upstream)
    return /\b40[13]\b/.test(evidence)
      ? 'It wants a credential: put one where only you can read it, and name it with --authorization file:PATH or env:NAME'
      : 'Is the URL that of its MCP endpoint (often …/mcp), and can this machine reach it?';
  return /ENOENT/.test(evidence)
    ? 'There is no such program: is it installed, and on your PATH?'
    : 'Run its command in a terminal and see what it says; what it needs of the environment goes in with --env NAME=env:NAME';
}

/** Whether each schema can be enforced, as control validation will say at every start. */
function schemasOf(configuration: Configuration): SchemaPort {
  return openValidation({
    settings: readSection('validation', validationSettings, configuration.section('validation')),
    // Nothing is sealed here: the control is asked about schemas only.
    keys: [{ kid: 'review', secret: randomBytes(32) }],
    ephemeral: openEphemeralMemory(),
    since: 0,
  }).schemas;
}

/** The gateway that runs with this home does not know of what was just signed. */
function isServing(home: string): boolean {
  return existsSync(join(home, 'run', 'ready.json')) && readReady(home) !== null;
}

const HELP = `  yes                accept what is proposed, and sign it
  TOOL.effect=read   read, write or destructive; * for every tool that is not destructive
  TOOL.scope=a:b     another scope
  TOOL.serve=no      leave it out
  pass FINDING       let a finding pass that you looked at
  show               print everything again
  no                 change nothing
`;

/** @returns the note of the review, or null when the person does not want it, or nobody is there */
async function talk(review: Review, ask: Ask | null, io: Io): Promise<string | null> {
  if (ask === null) return null;
  io.stderr(HELP);
  for (;;) {
    const answer = (await ask(`accept ${review.server}? `)).trim();
    if (answer === 'yes' || answer === 'y') return 'reviewed at a terminal';
    if (answer === 'no' || answer === 'n' || answer === 'quit') return null;
    if (answer === 'show') io.stdout(`${inWords(review)}\n`);
    else {
      const wrong = answer.startsWith('pass ') ? pass(review, answer.slice(5).trim()) : change(review, answer);
      io.stderr(wrong === null ? 'done\n' : `${wrong}\n${HELP}`);
    }
  }
}

/** The person at this terminal, if there is one. */
export function personAtTerminal(): { ask: Ask | null; close(): void } {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return { ask: null, close() {} };
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // The end of the input is a no: nothing is signed that nobody accepted. It may come while the server is being asked.
  let isOver = false;
  const ended = new Promise<string>((resolve) =>
    lines.once('close', () => {
      isOver = true;
      resolve('no');
    }),
  );
  const ask: Ask = (question) => (isOver ? ended : Promise.race([lines.question(question), ended]));
  return { ask, close: () => lines.close() };
}
