export { REACHES, type Reach } from './addresses.ts';
export { type ClientKey, clientMetadata } from './client.ts';
export { OAuthFault, type OAuthFaultCode } from './fault.ts';
export { GRANT_KINDS, type GrantKind, type IdentityProvider, type Unattended } from './grants.ts';
export { GuardedHttp } from './guarded-http.ts';
export { type CredentialStore, credentialsInMemory, sealedCredentials } from './kept.ts';
export { OAuthCredential, type OAuthPlan } from './oauth-credential.ts';
export type { Person } from './person.ts';
