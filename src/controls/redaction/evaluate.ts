import { detect, featuresOf } from './detect.ts';
import type { RedactionSettings } from './settings.ts';
import { NO_PLACE, TYPES, type Type } from './types.ts';

/** One text of a labelled file, in the form of presidio-research. */
export interface LabelledText {
  readonly full_text: string;
  readonly spans: readonly {
    readonly entity_type: string;
    readonly start_position: number;
    readonly end_position: number;
  }[];
}

export interface Score {
  readonly type: Type;
  readonly labelled: number;
  readonly found: number;
  readonly hit: number;
  readonly falseAlarms: number;
  readonly recall: number;
  readonly precision: number;
  /** Weighs recall four times precision. */
  readonly f2: number;
}

export interface Evaluation {
  readonly texts: number;
  readonly scores: readonly Score[];
  /** Labels of types that rules alone do not find (names, places, …), with their counts. */
  readonly notCovered: Readonly<Record<string, number>>;
}

/** Names other corpora use for our types. */
const NAMES: Readonly<Record<string, Type>> = {
  EMAIL_ADDRESS: 'EMAIL',
  PHONE_NUMBER: 'PHONE',
  IBAN_CODE: 'IBAN',
};
const MIN_OVERLAP = 0.5;

/** Precision, recall and F2 per type on labelled prose: a finding hits when intersection over union is at least a half. */
export function evaluate(texts: readonly LabelledText[], settings: RedactionSettings): Evaluation {
  const counts = new Map<Type, { labelled: number; found: number; hit: number }>();
  const notCovered: Record<string, number> = {};
  const count = (type: Type) => {
    const known = counts.get(type) ?? { labelled: 0, found: 0, hit: 0 };
    counts.set(type, known);
    return known;
  };
  const rules = { phoneRegions: settings.phoneRegions, keepPrivateAddresses: false, cutAllHiddenText: false };
  for (const { full_text, spans } of texts) {
    const found = detect(full_text, featuresOf(full_text), NO_PLACE, rules, 'whole').filter(
      (one) => one.quiet !== true,
    );
    for (const one of found) count(one.type).found++;
    for (const label of spans) {
      const type = typeOf(label.entity_type);
      if (type === null) {
        notCovered[label.entity_type] = (notCovered[label.entity_type] ?? 0) + 1;
        continue;
      }
      count(type).labelled++;
      const hit = found.find(
        (one) =>
          one.type === type && overlap(one, { start: label.start_position, end: label.end_position }) >= MIN_OVERLAP,
      );
      if (hit !== undefined) count(type).hit++;
    }
  }
  const scores = TYPES.flatMap((type) => {
    const counted = counts.get(type);
    return counted === undefined ? [] : [score(type, counted)];
  });
  return { texts: texts.length, scores, notCovered };
}

function typeOf(label: string): Type | null {
  return NAMES[label] ?? TYPES.find((type) => type === label) ?? null;
}

function overlap(a: { start: number; end: number }, b: { start: number; end: number }): number {
  const both = Math.min(a.end, b.end) - Math.max(a.start, b.start);
  return both <= 0 ? 0 : both / (Math.max(a.end, b.end) - Math.min(a.start, b.start));
}

function score(type: Type, { labelled, found, hit }: { labelled: number; found: number; hit: number }): Score {
  const recall = labelled === 0 ? 1 : hit / labelled;
  const precision = found === 0 ? 1 : hit / found;
  const f2 = recall + precision === 0 ? 0 : (5 * precision * recall) / (4 * precision + recall);
  return { type, labelled, found, hit, falseAlarms: found - hit, recall, precision, f2 };
}
