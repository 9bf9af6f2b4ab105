import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Principal } from '../../core/call.ts';
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
  groups: z
    .record(
      z.string().regex(/^https?:\/\//, 'groups are listed below their issuer, byte for byte as tokens name it'),
      z.record(z.string().min(1).max(512), z.array(z.string()).max(1000)),
    )
    .default({})
    .describe('Scopes that members of a group or holders of a role have, by issuer and by the whole name.'),
});

/** Issuer → group → scopes. */
export type GroupScopes = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

/** The one list of scopes. Scopes are compared whole, byte by byte; nothing is a prefix of anything. */
export interface Catalogue {
  readonly scopes: ReadonlyMap<string, ScopeEntry>;
  /**
   * Every scope a principal has: those of the token, and those its groups bring. A group counts only from the issuer it
   * is listed under; names are compared whole. The token's own list when groups add nothing.
   */
  scopesOf(principal: Pick<Principal, 'issuer' | 'groups' | 'scopes'>): readonly string[];
  /** Null when an operation may name these scopes, otherwise why not. Registry refuses such a manifest. */
  accepts(scopes: readonly string[]): string | null;
}

export function catalogueOf(scopes: ReadonlyMap<string, ScopeEntry>, groups: GroupScopes = new Map()): Catalogue {
  return {
    scopes,
    scopesOf(principal) {
      const listed = groups.get(principal.issuer);
      if (listed === undefined) return principal.scopes;
      const brought = principal.groups.flatMap((group) => listed.get(group) ?? []);
      return brought.length === 0 ? principal.scopes : [...new Set([...principal.scopes, ...brought])];
    },
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
  // A group named 012 is not the group 10, as YAML alone would have it.
  const document = parseDocument(text, { uniqueKeys: true, strict: true, merge: false, stringKeys: true });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault) throw new SettingsError(`${SCOPES_FILE}: ${fault.message}`, fault);
  const raw: unknown = document.toJS({ maxAliasCount: 0 });
  const file = readSection(SCOPES_FILE, scopesFile, raw);
  nothingLeftOut(raw as z.input<typeof scopesFile>);
  const scopes = new Map(Object.entries(file.scopes));
  const groups = new Map(
    Object.entries(file.groups).map(([issuer, listed]) => [issuer, new Map(Object.entries(listed))] as const),
  );
  const faults = strangeGrants(groups, scopes);
  if (faults.length > 0) throw new SettingsError(faults.join('\n'));
  return catalogueOf(scopes, groups);
}

/** zod leaves a member "__proto__" out in silence; here nothing is. */
function nothingLeftOut({ scopes, groups = {} }: z.input<typeof scopesFile>): void {
  if (Object.hasOwn(scopes, '__proto__'))
    throw new SettingsError(`${SCOPES_FILE}: scopes.__proto__: this is not a scope`);
  for (const listed of [groups, ...Object.values(groups)])
    if (Object.hasOwn(listed, '__proto__'))
      throw new SettingsError(`${SCOPES_FILE}: groups: "__proto__" is neither an issuer nor a group here`);
}

function strangeGrants(groups: GroupScopes, scopes: ReadonlyMap<string, ScopeEntry>): string[] {
  return [...groups].flatMap(([issuer, listed]) =>
    [...listed].flatMap(([group, brought]) =>
      brought
        .filter((scope) => !scopes.has(scope))
        .map((scope) => `${SCOPES_FILE}: groups.${issuer}.${group}: ${unknownScope(scope, scopes)}`),
    ),
  );
}
