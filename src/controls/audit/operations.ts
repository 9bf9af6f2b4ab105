import type { AdminOperation } from '../../core/admin-operation.ts';
import { InternalError } from '../../core/internal-error.ts';
import { principalKey } from '../../core/principal-key.ts';
import { Refusal } from '../../core/stage.ts';

export const AUDIT_OPERATIONS = ['admin.audit.erase'] as const;
export type AuditOperations = Readonly<Record<(typeof AUDIT_OPERATIONS)[number], AdminOperation>>;

/** Whom to erase: the key of a subject is found by these three. */
export interface Whom {
  readonly tenant: string;
  /** `Principal.key` */
  readonly subject: string;
}

export interface Erasure {
  /** Name of the deleted key, as `subject_key` of records names it; null: there was none. */
  readonly key: string | null;
  /** The durable record of it. */
  readonly index: number;
  readonly id: string;
}

export interface ErasurePort {
  /** Resolves when the key is gone and the record of it durable. */
  erase(request: Whom & { readonly basis: string; readonly by: string }): Promise<Erasure>;
  /** Name of a subject's key; null: there is none. */
  keyOf(whom: Whom): Promise<string | null>;
}

/** Other processes may go on for so long with a key they hold, s. */
export const OTHERS_SECONDS = 60;
const MAX_NAME = 512;
const MAX_BASIS = 500;

export function auditOperations(port: ErasurePort): AuditOperations {
  const name = (description: string) => ({ type: 'string', minLength: 1, maxLength: MAX_NAME, description });
  return {
    'admin.audit.erase': {
      definition: {
        name: 'admin.audit.erase',
        title: 'Erase a subject',
        description:
          'Deletes the key that seals what calls of one subject said and got, in your tenant. It cannot be undone. What was done, by whom and when stays on record.',
        inputSchema: {
          type: 'object',
          properties: {
            issuer: name('Issuer of the tokens of the subject (`iss`).'),
            subject: name('The subject, as in its tokens.'),
            basis: { type: 'string', minLength: 1, maxLength: MAX_BASIS, description: 'Why; kept in the record.' },
            dryRun: { type: 'boolean', description: 'Only say whether there is a key.' },
          },
          required: ['issuer', 'subject', 'basis'],
          additionalProperties: false,
        },
      },
      effect: 'destructive',
      scopes: ['gatewrit:audit:erase'],
      // The tenant is that of who asks, never one a request names.
      run: ({ principal, arguments: { issuer, subject, basis, dryRun } }) =>
        shut(async () => {
          const { tenant } = principal;
          const whom = { tenant, subject: principalKey(tenant, String(issuer), String(subject)) };
          if (dryRun === true) return { erased: false, dryRun: true, tenant, key: await port.keyOf(whom) };
          const by = `${principal.issuer} ${principal.subject}`;
          const { key, index, id } = await port.erase({ ...whom, basis: String(basis), by });
          return { erased: key !== null, tenant, key, record: { index, id }, othersSeconds: OTHERS_SECONDS };
        }),
    },
  };
}

async function shut(act: () => Promise<object>): Promise<Refusal | object> {
  try {
    return await act();
  } catch (cause) {
    const evidence = cause instanceof InternalError ? cause.code : 'erasure threw';
    return new Refusal('audit.unavailable', { evidence, cause });
  }
}
