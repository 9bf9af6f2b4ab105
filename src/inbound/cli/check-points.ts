import { CONTROL_SECTIONS } from '../../sections.ts';

/** The ten controls in their order. */
export const CONTROLS = Object.keys(CONTROL_SECTIONS) as readonly Control[];
export type Control = keyof typeof CONTROL_SECTIONS;
/** What belongs to no control. */
export const AROUND = ['listen', 'upstreams', 'store', 'platform'] as const;
export type Place = Control | (typeof AROUND)[number];

export interface WeakPoint {
  readonly place: Place;
  readonly what: string;
  readonly remedy: string;
  /** `start` would refuse it. */
  readonly stops: boolean;
}
