import { parseDocument } from 'yaml';
import { z } from 'zod';
import { SettingsError } from '../../core/internal-error.ts';
import { nearest, readSection } from '../../core/settings.ts';

export const SCOPES_FILE = 'scopes.yaml';
/** Format number of scopes.yaml. A newer file is refused. */
export const CATALOGUE_FORMAT = 1;
/** `domain:resource` or `domain:resource:action`. ASCII, lower case: two spellings of one scope cannot exist. */
export const SCOPE_PATTERN = /^[a-z0-9-]+(:[a-z0-9-]+){1,2}$/;

export const RISKS = ['low', 'medium', 'high'] as const;

const scopeEntry = z.strictObject({
  title: z.string().min(1).max(80).describe('A few words for people who grant it.'),
  description: z.string().min(1).max(500).describe('What a holder can do with it.'),
  risk: z.enum(RISKS).describe('How much harm a holder can do.'),
});
export type ScopeEntry = z.output<typeof scopeEntry>;

const scopesFile = z.strictObject({
  format: z.literal(CATALOGUE_FORMAT, { error: `must be ${CATALOGUE_FORMAT}; a newer file needs a newer gatewrit` }),
  scopes: z.record(
    z.string().regex(SCOPE_PATTERN, 'a scope is domain:resource or domain:resource:action in a-z, 0-9 and -'),
    scopeEntry,
  ),
});

/** The one list of scopes. Scopes are compared whole, byte by byte; nothing is a prefix of anything. */
export interface Catalogue {
  readonly scopes: ReadonlyMap<string, ScopeEntry>;
  /** Null when an operation may name these scopes, otherwise why not. Registry refuses such a manifest. */
  accepts(scopes: readonly string[]): string | null;
}

export function catalogueOf(scopes: ReadonlyMap<string, ScopeEntry>): Catalogue {
  return {
    scopes,
    accepts(wanted) {
      // An operation without scopes would be open to everybody: containsAll of nothing is true.
      if (wanted.length === 0) return 'an operation names at least one scope';
      const faults = [...new Set(wanted)].filter((scope) => !scopes.has(scope));
      return faults.length === 0 ? null : faults.map((scope) => unknownScope(scope, scopes)).join('; ');
    },
  };
}

/** A sentence about a scope that is not in the catalogue, with the nearest that is. */
export function unknownScope(scope: string, scopes: ReadonlyMap<string, ScopeEntry>): string {
  const near = nearest(scope, [...scopes.keys()]);
  return `scope ${JSON.stringify(scope)} is not in ${SCOPES_FILE}${near ? `, did you mean "${near}"?` : ''}`;
}

/**
 * Reads scopes.yaml.
 * @throws SettingsError with everything that is wrong with it
 */
export function readCatalogue(text: string): Catalogue {
  const document = parseDocument(text, { uniqueKeys: true, strict: true, merge: false });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault) throw new SettingsError(`${SCOPES_FILE}: ${fault.message}`, fault);
  const raw: unknown = document.toJS({ maxAliasCount: 0 });
  const file = readSection(SCOPES_FILE, scopesFile, raw);
  // zod leaves a member "__proto__" out in silence; here nothing is.
  if (Object.hasOwn((raw as z.input<typeof scopesFile>).scopes, '__proto__'))
    throw new SettingsError(`${SCOPES_FILE}: scopes.__proto__: this is not a scope`);
  return catalogueOf(new Map(Object.entries(file.scopes)));
}
