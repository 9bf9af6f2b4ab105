/** One kind of text that tells how the inside of a server looks. Every repetition of a pattern is bounded. */
export interface DiagnosticRule {
  /** For the operator: what kind of thing was found. */
  readonly kind: string;
  /** Lower-case literals of which one must occur; empty: none is sure to. */
  readonly literals: readonly string[];
  readonly pattern: RegExp;
}

export const rule = (kind: string, literals: readonly string[], pattern: RegExp): DiagnosticRule => ({
  kind,
  literals,
  pattern,
});

/** Where a path, host or address may begin. */
export const START = String.raw`(?:^|[\s"'\`(:,[{<>|;@]|(?<![?&][\w-]{1,40})=)`;
export const CODE_FILE = String.raw`\.(?:[cm]?[jt]sx?|py|pyx|rb|erb|php|go|rs|java|kt|scala|clj|cs|vb|fs|cpp|cc|c|h|hpp|swift|exs?|erl|pl|pm|lua|vue|svelte|sql|sh)`;
