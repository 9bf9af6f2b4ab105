import type { Configuration } from '../../configuration.ts';
import { type Sections, weaknessesOf } from '../../sections.ts';
import { auditPlaces } from './check-audit.ts';
import type { HomeFacts } from './check-home.ts';
import { AROUND, CONTROLS, type Control, type Place, type WeakPoint } from './check-points.ts';
import { remedyOf } from './check-remedies.ts';

export const STATES = ['strong', 'weak', 'off'] as const;
export type State = (typeof STATES)[number];

export interface CardRow {
  readonly place: Place;
  readonly state: State;
  /** What is on, in words. */
  readonly does: string;
  readonly points: readonly Omit<WeakPoint, 'place'>[];
}

/** Everything `check` has to say of what is weak: of settings, and of what lies in the home. */
export function weakPointsOf(sections: Sections, configuration: Configuration, home: HomeFacts): readonly WeakPoint[] {
  const settings = weaknessesOf(sections, configuration).map((what) => ({ place: placeOf(what), what, stops: false }));
  return [...settings.map((point) => ({ ...point, remedy: remedyOf(point.what) })), ...home.points];
}

/** Weaknesses begin with the section they are about. */
function placeOf(weakness: string): Place {
  const first = /^[a-z]+/.exec(weakness)?.[0] as Place;
  return CONTROLS.includes(first as Control) || (AROUND as readonly string[]).includes(first) ? first : 'platform';
}

export function cardOf(
  sections: Sections,
  configuration: Configuration,
  home: HomeFacts,
): { readonly controls: readonly CardRow[]; readonly around: readonly CardRow[] } {
  const points = weakPointsOf(sections, configuration, home);
  const row = (place: Place, does: string, off: boolean): CardRow => {
    const own = points.filter((point) => point.place === place).map(({ place: _, ...point }) => point);
    return { place, state: off ? 'off' : own.length > 0 ? 'weak' : 'strong', does, points: own };
  };
  const off: Partial<Record<Place, boolean>> = {
    authentication: sections.authentication.driver === 'anonymous',
    redaction: sections.redaction.profile === 'none',
    approval: home.demandsApproval === false,
  };
  return {
    controls: CONTROLS.map((name) => row(name, DOES[name](sections, home), off[name] ?? false)),
    around: AROUND.map((name) => row(name, AROUND_DOES[name](configuration), false)),
  };
}

const seconds = (ms: number) => (ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1000} s`);
const GIB = 2 ** 30;
const bytes = (n: number) =>
  n >= GIB
    ? `${Math.round(n / GIB)} GiB`
    : n >= 1_048_576
      ? `${Math.round(n / 104_857.6) / 10} MiB`
      : `${Math.round(n / 1024)} KiB`;
const plural = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

const DOES: { readonly [C in Control]: (sections: Sections, home: HomeFacts) => string } = {
  authentication({ authentication: { driver, issuers, development } }) {
    if (driver === 'anonymous') return 'everybody is one anonymous principal';
    if (development) return 'tokens of the development issuer of this machine, made for this gateway';
    const names = issuers.map(({ issuer, algorithms }) => `${issuer} (${algorithms.join(', ')})`);
    return names.length === 0 ? 'nobody: no issuer is named' : `tokens made for this gateway by ${names.join(' and ')}`;
  },
  authorization: ({ authorization }, { rules, scopes, unmade }) =>
    authorization.mode === 'observe'
      ? 'what policy would have refused goes through, and is recorded'
      : unmade
        ? 'default deny; the first start writes the policy'
        : `default deny; ${plural(rules, 'rule')} over ${plural(scopes, 'scope')}`,
  approval({ approval }, home) {
    if (home.demandsApproval === false) return 'no rule demands a person';
    const rules = Object.entries(approval.rules).map(([name, { approvers, quorum }]) => {
      const who = approvers.groups.length === 0 ? 'nobody' : approvers.groups.join(' or ');
      return `"${name}" by ${quorum} of ${who}`;
    });
    return `${rules.join(', ') || 'no rule, so nobody can approve anything'}, within ${approval.decisionMinutes} min, bound to the exact call`;
  },
  validation: ({ validation }) =>
    `strict JSON, at most ${validation.maxDepth} deep; arguments ${validation.mode === 'observe' ? 'compared with' : 'must match'} the reviewed schema${validation.formats === 'assert' ? ' and its formats' : ''}`,
  redaction({ redaction }) {
    if (redaction.profile === 'none') return 'nothing is looked for';
    if (redaction.mode === 'observe') return 'personal data and secrets are reported, not replaced';
    return 'personal data and secrets are replaced in answers; secrets in arguments are blocked';
  },
  audit: ({ audit }, { kekDays }) =>
    `intent before, outcome after, sealed; signed every ${seconds(audit.checkpointMs)}; full at ${bytes(audit.volumeBytes)}, then calls are refused; ${auditPlaces(audit, kekDays)}`,
  registry: (_, { served, withheld, unmade }) =>
    unmade
      ? 'signed manifests alone are served; the first start signs the bundled ones'
      : `${plural(served, 'reviewed item')} served from signed manifests${withheld > 0 ? `, ${withheld} withheld` : ''}`,
  transport: ({ transport }) =>
    `TLS 1.3, HSTS, Host and Origin checked; bodies to ${bytes(transport.maxBodyBytes)} within ${seconds(transport.bodyTimeoutMs)}`,
  errors: ({ errors }) =>
    `diagnostics of tools are kept inside, under the correlation id${errors.allowVerbatim ? ', unless a manifest says verbatim' : ''}`,
  limits({ limits }) {
    const per = (rule: { limit: number; windowMs: number }) => `${rule.limit} in ${seconds(rule.windowMs)}`;
    const waits = `failed sign-ins wait from ${seconds(limits.backoff.baseMs)} to ${seconds(limits.backoff.capMs)}`;
    if (limits.driver === 'unlimited') return waits;
    return `principal ${per(limits.principal)}, tool ${per(limits.tool)}, address ${per(limits.address)}, tenant ${per(limits.tenant)}; ${waits}`;
  },
};

const AROUND_DOES: { readonly [P in (typeof AROUND)[number]]: (configuration: Configuration) => string } = {
  listen: ({ listen: { public: front, admin } }) =>
    `agents at ${front.host}:${front.port}, people at ${admin.host}:${admin.port}`,
  upstreams({ upstreams }) {
    const names = Object.entries(upstreams).map(([name, of]) => `${name} (${'stdio' in of ? 'stdio' : of.http.url})`);
    return names.join(', ') || 'none: there is nothing to serve';
  },
  store: ({ store }) => (store.driver === 'sqlite' ? 'a file in the home' : 'in memory'),
  platform: () => `${process.platform} ${process.arch}, Node ${process.versions.node}`,
};
