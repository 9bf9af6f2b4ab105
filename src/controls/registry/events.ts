import { type Change, type Drift, driftId, fieldsOf, MAX_TOLD } from './drift.ts';
import type { Problem, ProblemCode } from './pins.ts';
import { inert } from './scan.ts';

/** What the operator's log learns. `record` MUST NOT throw; the registry does not wait for it. */
export interface Records {
  record(event: RegistryEvent): void;
}

export interface RegistryEvent {
  readonly event: 'refused' | 'drift' | 'recovered' | 'observed' | 'forgotten';
  readonly server: string;
  /** `server/name` in inert characters; null when the server as a whole is meant. */
  readonly target: string | null;
  readonly code: Change | ProblemCode | null;
  readonly text: string;
}

export function problemEvents(problems: readonly Problem[]): RegistryEvent[] {
  return problems.map(({ server, name, code, text }) => {
    const target = name === null ? null : inert(`${server}/${name}`);
    return { event: 'refused', server, target, code, text };
  });
}

/**
 * Only what changed since the last look, so that a drifting server cannot fill the log.
 * @param before differences of that look; undefined: there was none
 */
export function driftEvents(
  server: string,
  before: readonly Drift[] | undefined,
  now: readonly Drift[],
): RegistryEvent[] {
  const was = new Set((before ?? []).map(driftId));
  const is = new Set(now.map(driftId));
  const began = now.filter((one) => !was.has(driftId(one)));
  const ended = (before ?? []).filter((one) => !is.has(driftId(one)));
  const text = `${now.length} differences from its pins`;
  const first: RegistryEvent = { event: 'observed', server, target: null, code: null, text };
  return [
    ...(before === undefined ? [first] : []),
    ...some('drift', server, began, (drift) => fieldsOf(drift) || drift.change),
    ...some('recovered', server, ended, () => 'no longer so'),
  ];
}

/** What is pinned first; of the rest a server can make up as much as it likes, each time anew. */
function some(
  event: 'drift' | 'recovered',
  server: string,
  drifts: readonly Drift[],
  textOf: (drift: Drift) => string,
): RegistryEvent[] {
  const sorted = [...drifts].sort((a, b) => Number(a.pinned === null) - Number(b.pinned === null));
  const told = sorted.slice(0, MAX_TOLD).map((drift): RegistryEvent => {
    return { event, server, target: inert(`${server}/${drift.name}`), code: drift.change, text: textOf(drift) };
  });
  const more = sorted.length - told.length;
  return more === 0 ? told : [...told, { event, server, target: null, code: null, text: `and ${more} more` }];
}
