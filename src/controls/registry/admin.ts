import type { Effect, Target } from '../../core/call.ts';
import { digestOf } from './definition-digest.ts';
import { DEFAULT_LIMITS } from './manifest.ts';

/** An operation of the admin API. Ours, in code: it needs no signature, and is found over the admin way alone. */
export interface AdminOperation {
  /** E.g. `admin.approvals.approve`. */
  readonly name: string;
  /** Like a tool's: description, inputSchema, outputSchema. */
  readonly definition: Readonly<Record<string, unknown>>;
  readonly effect: Effect;
  readonly scopes: readonly string[];
}

export type AdminPin = Omit<Target, 'tenant' | 'kind'> & { readonly kind: 'admin' };

const ADMIN_SERVER = 'gatewrit';

/** The built-in manifest. */
export function pinAdmin(operations: readonly AdminOperation[]): AdminPin[] {
  const manifest = digestOf(operations);
  return operations.map(({ name, definition, effect, scopes }) => {
    if (scopes.length === 0) throw new TypeError(`admin operation ${name} names no scope`);
    return {
      kind: 'admin',
      server: ADMIN_SERVER,
      name,
      exposed: name,
      key: `${ADMIN_SERVER}/${name}`,
      digest: digestOf(definition),
      manifest,
      effect,
      scopes,
      definition,
      limits: DEFAULT_LIMITS,
      errors: 'generic',
    };
  });
}
