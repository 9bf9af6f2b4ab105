export { REACHES, type Reach } from './addresses.ts';
export { type ClientKey, clientMetadata } from './client.ts';
export { OAuthFault, type OAuthFaultCode } from './fault.ts';
export type { IdentityProvider, Unattended } from './grants.ts';
export { GuardedHttp } from './guarded-http.ts';
export { type CredentialStore, credentialsInMemory, sealedCredentials } from './kept.ts';
export { OAuthCredential, type OAuthPlan } from './oauth-credential.ts';
export type { Person } from './person.ts';
export type { OAuthSettings } from './settings.ts';
