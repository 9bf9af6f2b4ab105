export { clientMetadata } from './client.ts';
export type { Unattended } from './grants.ts';
export { GuardedHttp } from './guarded-http.ts';
export { credentialsInMemory, sealedCredentials } from './kept.ts';
export { OAuthCredential, type OAuthPlan } from './oauth-credential.ts';
export type { Person } from './person.ts';
export type { OAuthSettings } from './settings.ts';
