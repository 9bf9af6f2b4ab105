import { type Change, type Drift, fieldsOf } from './drift.ts';
import type { ItemKind } from './manifest.ts';
import type { Problem, ProblemCode } from './pins.ts';
import { inert } from './scan.ts';

/** What is not served, and why. */
export interface Quarantined {
  readonly server: string;
  readonly kind: ItemKind | null;
  readonly name: string | null;
  readonly reason: Change | ProblemCode | 'unobserved';
  readonly text: string;
}

export function refused({ server, kind, name, code, text }: Problem): Quarantined {
  return { server, kind, name, reason: code, text };
}

export function drifted(drift: Drift): Quarantined {
  const { server, kind, change } = drift;
  const text = drift.fields.length > 0 ? `${change}: ${fieldsOf(drift)}` : change;
  return { server, kind, name: inert(drift.name), reason: change, text };
}

/** @param seen whether it was compared with its pins before */
export function unobserved(server: string, seen: boolean): Quarantined {
  const text = seen ? 'not seen live since it changed' : 'not seen live since the start';
  return { server, kind: null, name: null, reason: 'unobserved', text };
}
