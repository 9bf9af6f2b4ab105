import { DEVELOPMENT_PEOPLE, mintDevelopmentToken } from '../../controls/authentication/index.ts';
import { InternalError } from '../../core/internal-error.ts';
import { approvalsCommand } from './approvals.ts';
import { readReady } from './ready.ts';

/** Signs a development person in at the admin API; in production people sign in with code + PKCE. */
export async function signIn(home: string, person: string, scopes: readonly string[]): Promise<string> {
  const ready = readReady(home);
  if (!ready?.issuer) {
    throw new InternalError(
      'sign_in.no_issuer',
      `--as works beside a running development gateway; none runs with home ${home}`,
      { kind: 'outage' },
    );
  }
  const groups = DEVELOPMENT_PEOPLE.find(({ subject }) => subject === person)?.groups ?? [];
  return mintDevelopmentToken({
    home,
    issuer: ready.issuer,
    audience: `${ready.admin}/api`,
    subject: person,
    scopes,
    groups,
  });
}

const APPROVALS = ['gatewrit:approvals:read', 'gatewrit:approvals:decide'];

export const signedInApprovals = approvalsCommand((home, person) => signIn(home, person, APPROVALS));
