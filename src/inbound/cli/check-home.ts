import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from '../../configuration.ts';
import { authorityAt, referenced } from '../../configured-servers.ts';
import { checkListeners, isLoopback, requireDevelopmentPackages } from '../../controls/authentication/index.ts';
import { Engine, inspect, type Rule, readPolicyFolder } from '../../controls/authorization/index.ts';
import { loadManifests } from '../../controls/registry/index.ts';
import { judgeLeaf, readAuthorities, readKeyPair } from '../../controls/transport/index.ts';
import { KEY_CLASSES, type KeyClass, openSigningKeys, openSymmetricKeys } from '../../core/crypto/keys.ts';
import { credentialIn } from '../../core/crypto/sample-secrets.ts';
import { SettingsError } from '../../core/internal-error.ts';
import type { Sections } from '../../sections.ts';
import { auditPoints } from './check-audit.ts';
import type { Place, WeakPoint } from './check-points.ts';

/** What the home holds, judged without opening a gateway: nothing is made, changed or listened on. */
export interface HomeFacts {
  readonly points: readonly WeakPoint[];
  readonly rules: number;
  readonly scopes: number;
  /** Null when no policy can be read. */
  readonly demandsApproval: boolean | null;
  readonly served: number;
  readonly withheld: number;
  /** The first start of a development gateway makes all of it. */
  readonly unmade: boolean;
  /** Age of the key encryption key of the log in the home, days; null: it is not there. */
  readonly kekDays: number | null;
}

export interface HomeOptions {
  readonly home: string;
  readonly sections: Sections;
  readonly configuration: Configuration;
  readonly now: { readonly utc: number };
}

/** A key older than this is asked to be followed by a new one. */
const KEY_DAYS = 365;
const DAY = 86_400_000;
const OF_KEY: Readonly<Record<KeyClass, Place>> = {
  operator: 'registry',
  'audit-kek': 'audit',
  checkpoint: 'audit',
  'state-seal': 'authentication',
  'redaction-token': 'redaction',
  'approval-mac': 'approval',
  'upstream-credentials': 'upstreams',
};

export async function inspectHome(options: HomeOptions): Promise<HomeFacts> {
  const { home, sections } = options;
  const points = [
    ...listenerPoints(options),
    ...platformPoints(),
    ...developmentPoints(options),
    ...upstreamPoints(options),
    ...clientPoints(options),
    ...auditPoints(home, sections),
  ];
  const { development } = sections.authentication;
  if (development && !existsSync(join(home, 'keys'))) {
    return { points, rules: 0, scopes: 0, demandsApproval: null, served: 0, withheld: 0, unmade: true, kekDays: null };
  }
  points.push(...keyPoints(options), ...issuerPoints(options));
  if (!development) points.push(...leafPoints(options));
  const policy = await policyFacts(options);
  const registry = await registryFacts(options, policy.accepts);
  return {
    points: [...points, ...policy.points, ...registry.points],
    rules: policy.rules,
    scopes: policy.scopes,
    demandsApproval: policy.demandsApproval,
    served: registry.served,
    withheld: registry.withheld,
    unmade: false,
    kekDays: daysOf(join(home, 'keys', 'audit-kek.jwks'), options.now),
  };
}

const weak = (place: Place, what: string, remedy: string): WeakPoint => ({ place, what, remedy, stops: false });
const stops = (place: Place, what: string, remedy: string): WeakPoint => ({ place, what, remedy, stops: true });

/** What a look at something says when it throws a sentence for the operator. */
function faultOf(look: () => unknown): string | null {
  try {
    look();
    return null;
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
}

function listenerPoints({ sections, configuration: { listen } }: HomeOptions): WeakPoint[] {
  const hosts = [listen.public.host, listen.admin.host, ...(listen.url ? [new URL(listen.url).hostname] : [])];
  const fault = faultOf(() => checkListeners(sections.authentication, hosts));
  const points = fault === null ? [] : [stops('authentication', fault, 'set listen.*.host to 127.0.0.1')];
  if (['0.0.0.0', '::'].includes(listen.admin.host))
    points.push(
      weak(
        'listen',
        'listen.admin.host is every address of this machine: strangers reach console and metrics',
        'set listen.admin.host to 127.0.0.1, or to the address of a private network',
      ),
    );
  return points;
}

function platformPoints(): WeakPoint[] {
  const points: WeakPoint[] = [];
  const { platform, arch } = process;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const glibc = header.glibcVersionRuntime !== undefined;
  const supported = platform === 'linux' && glibc && ['x64', 'arm64'].includes(arch);
  if (!supported && !(platform === 'darwin' && arch === 'arm64'))
    points.push(
      weak('platform', `${platform} ${arch} is not a platform we test on`, 'run it on Linux x64 or arm64 with glibc'),
    );
  return points;
}

function keyPoints({ home, sections, configuration, now }: HomeOptions): WeakPoint[] {
  const folder = join(home, 'keys');
  const { development } = sections.authentication;
  const points: WeakPoint[] = [];
  if (existsSync(folder) && (statSync(folder).mode & 0o077) !== 0)
    points.push(weak('store', `${folder} may be read by others`, `chmod 700 ${folder}`));
  const oauth = Object.values(configuration.upstreams).some((one) => 'http' in one && one.http.oauth);
  for (const name of KEY_CLASSES) {
    if (name === 'operator' && sections.registry.trust.length > 0) continue;
    if (name === 'upstream-credentials' && !oauth) continue;
    if (name === 'audit-kek' && sections.audit.kek !== undefined) continue;
    const file = join(folder, `${name}.jwks`);
    if (!existsSync(file)) {
      if (!development) points.push(stops(OF_KEY[name], `key ${name} is missing`, `gatewrit keys init --home ${home}`));
      continue;
    }
    const open = name === 'operator' || name === 'checkpoint' ? openSigningKeys : openSymmetricKeys;
    const fault = faultOf(() => open({ folder, generate: false }, name));
    if (fault !== null)
      points.push(stops(OF_KEY[name], fault, `mend ${file}, or move it away and run gatewrit keys init`));
    const days = daysOf(file, now);
    if (days !== null && days > KEY_DAYS)
      points.push(weak(OF_KEY[name], `key ${name} is ${days} days old`, `gatewrit keys rotate ${name} --home ${home}`));
  }
  return points;
}

/** Since the file was written; null: it is not there. */
function daysOf(file: string, now: { readonly utc: number }): number | null {
  const there = statSync(file, { throwIfNoEntry: false });
  return there ? Math.max(0, Math.floor((now.utc - there.mtimeMs) / DAY)) : null;
}

/** Development itself is said to be weak elsewhere; here is whether it can start. */
function developmentPoints({ sections }: HomeOptions): WeakPoint[] {
  const fault = sections.authentication.development ? faultOf(requireDevelopmentPackages) : null;
  return fault === null ? [] : [stops('authentication', fault, 'install them, or name your issuer')];
}

function issuerPoints({ sections: { authentication } }: HomeOptions): WeakPoint[] {
  if (authentication.driver === 'anonymous' || authentication.development) return [];
  if (authentication.issuers.length === 0)
    return [
      weak('authentication', 'no issuer is named: nobody gets in', 'name your issuer under authentication.issuers'),
    ];
  return authentication.issuers.flatMap(({ issuer, jwks }) =>
    /^http:/.test(jwks) && !isLoopback(new URL(jwks).hostname)
      ? [weak('authentication', `keys of ${issuer} are fetched without TLS`, 'name its jwks by https')]
      : [],
  );
}

function leafPoints({ sections: { transport }, now }: HomeOptions): WeakPoint[] {
  const remedy =
    'name a certificate and its key (mode 0600) under transport.tls; a good new pair is served without a restart';
  if (!transport.tls) return [stops('transport', 'transport.tls is missing', remedy)];
  let pair: ReturnType<typeof readKeyPair> = null;
  const fault = faultOf(() => {
    pair = readKeyPair(transport);
  });
  if (fault !== null || pair === null) return [stops('transport', fault ?? 'there is no TLS pair', remedy)];
  const { refused, soon } = judgeLeaf(pair, now);
  return [
    ...refused.map((what) => stops('transport', what, remedy)),
    ...soon.map((what) =>
      weak('transport', what, 'renew it and write the new pair over the old one; no restart is needed'),
    ),
  ];
}

/** The file is the operator's own, also where development makes everything else. */
function clientPoints({ home, sections: { transport } }: HomeOptions): WeakPoint[] {
  const fault = faultOf(() => readAuthorities(transport, home));
  const remedy = 'put the authorities that issue client certificates there, in PEM and nothing else';
  return fault === null ? [] : [stops('transport', fault, remedy)];
}

function upstreamPoints({ home, configuration }: HomeOptions): WeakPoint[] {
  return Object.entries(configuration.upstreams).flatMap(([name, upstream]) => {
    if ('stdio' in upstream)
      return Object.entries(upstream.stdio.env).flatMap(([variable, value]) => {
        const fault = faultOf(() => referenced(value, home));
        const remedy = `put it there, or take ${variable} out of its env; env:NAME? is left out where NAME is not set`;
        return fault === null ? [] : [stops('upstreams', `upstreams.${name}: ${fault}`, remedy)];
      });
    const { ca, authorization, oauth } = upstream.http;
    const unread = ca === undefined ? null : faultOf(() => authorityAt(configuration.path(ca)));
    const authority =
      unread === null
        ? []
        : [stops('upstreams', `upstreams.${name}: ${unread}`, 'put the certificate of its authority there, in PEM')];
    const credentials = [authorization, oauth?.clientSecret, oauth?.identityProvider?.clientSecret].flatMap(
      (reference) => {
        const fault = reference === undefined ? null : faultOf(() => credentialIn(reference));
        return fault === null
          ? []
          : [stops('upstreams', `upstreams.${name}: ${fault}`, 'put the credential of this gateway there')];
      },
    );
    return [...authority, ...credentials];
  });
}

async function policyFacts({ home, sections }: HomeOptions) {
  const folder = join(home, 'policy');
  const nothing = { rules: 0, scopes: 0, demandsApproval: null, accepts: () => null };
  const lint = `gatewrit policy lint --home ${home}`;
  if (!existsSync(folder))
    return {
      ...nothing,
      points: [stops('authorization', `there is no policy in ${folder}`, 'gatewrit init writes one to begin with')],
    };
  let read: ReturnType<typeof inspect>;
  try {
    read = inspect(await Engine.open(), await readPolicyFolder(folder));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { ...nothing, points: error.message.split('\n').map((what) => stops('authorization', what, lint)) };
  }
  const { bundle, findings, warnings } = read;
  const rules = bundle?.rules.filter((rule) => !rule.file.startsWith('(')) ?? [];
  const points = [
    ...findings.map((what) => stops('authorization', what, lint)),
    ...warnings.map((what) => weak('authorization', what, lint)),
    ...rules
      .filter(isOpenToAll)
      .map((rule) =>
        weak(
          'authorization',
          `rule ${rule.id} (${rule.file}:${rule.line}) permits everybody without a condition`,
          'add when { principal.scopes.containsAll(resource.scopes) }, or name who may',
        ),
      ),
  ];
  const demanded = rules.flatMap(({ obligation }) => (obligation?.kind === 'approval' ? [obligation.rule] : []));
  const named = [...new Set(demanded)];
  if (bundle && demanded.length === 0)
    points.push(
      weak(
        'approval',
        'no rule of the policy demands an approval: destructive calls run unseen',
        'add the rule destructive-needs-approval (20-approval.cedar of gatewrit init)',
      ),
    );
  for (const rule of named) {
    if (!Object.hasOwn(sections.approval.rules, rule))
      points.push(
        weak(
          'approval',
          `policy names the rule "${rule}", which approval.rules lacks: such calls are refused`,
          `write approval.rules.${rule}`,
        ),
      );
    else if (sections.approval.rules[rule]!.approvers.groups.length === 0)
      points.push(
        weak(
          'approval',
          `nobody may approve by rule "${rule}"`,
          `name groups in approval.rules.${rule}.approvers.groups`,
        ),
      );
  }
  return {
    points,
    rules: rules.length,
    scopes: bundle?.catalogue.scopes.size ?? 0,
    demandsApproval: bundle ? demanded.length > 0 : null,
    accepts: (scopes: readonly string[]) => bundle?.catalogue.accepts(scopes) ?? null,
  };
}

/** A permit that grants, speaks about more than one target, and asks for nothing. */
function isOpenToAll(rule: Rule): boolean {
  return rule.effect === 'permit' && rule.obligation === null && rule.conjuncts.length === 0;
}

async function registryFacts(
  { home, sections, configuration, now }: HomeOptions,
  accepts: (scopes: readonly string[]) => string | null,
) {
  const keys = { folder: join(home, 'keys'), generate: false };
  const none = { served: 0, withheld: 0 };
  const hasKey = sections.registry.trust.length > 0 || existsSync(join(keys.folder, 'operator.jwks'));
  if (!hasKey) return { ...none, points: [] };
  let loaded: Awaited<ReturnType<typeof loadManifests>>;
  try {
    const ports = { schemas: { accept: () => null }, scopes: { accepts } };
    loaded = await loadManifests({ settings: sections.registry, home, keys, ...ports }, now.utc);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { ...none, points: [stops('registry', error.message, 'mend registry.trust')] };
  }
  const points = loaded.problems.map(({ server, name, text }) =>
    weak(
      'registry',
      `${name === null ? server : `${server}/${name}`} is withheld: ${text}`,
      `review and sign the manifest of ${server} again`,
    ),
  );
  for (const name of Object.keys(configuration.upstreams)) {
    const broken = loaded.problems.some(({ server }) => server === name);
    if (!broken && !loaded.servers.some(({ server }) => server === name))
      points.push(
        weak('registry', `${name} has no signed manifest: nothing of it is served`, `gatewrit registry add ${name}`),
      );
  }
  for (const { server, expiresAt, pins } of loaded.servers) {
    if (expiresAt - now.utc < 14 * DAY)
      points.push(
        weak(
          'registry',
          `the manifest of ${server} ends at ${new Date(expiresAt).toISOString()}`,
          'review and sign it again',
        ),
      );
    const verbatim = pins.filter(({ errors }) => errors === 'verbatim').map(({ key }) => key);
    if (verbatim.length > 0 && sections.errors.allowVerbatim)
      points.push(
        weak(
          'errors',
          `errors of ${verbatim.join(', ')} are told as they come`,
          'set errors.allowVerbatim to false, or review the manifest without it',
        ),
      );
  }
  const all = loaded.servers.flatMap(({ pins }) => pins);
  return { points, served: all.length - loaded.blocked.size, withheld: loaded.blocked.size };
}
