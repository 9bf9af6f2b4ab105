export { type Authentication, openAuthentication } from './authentication.ts';
export { type DevelopmentCertificates, ensureDevelopmentCertificates } from './development/certificates.ts';
export { requireDevelopmentPackages } from './development/child-script.ts';
export { type DevelopmentIssuer, startDevelopmentIssuer } from './development/issuer.ts';
export { ensureIssuerKeys, issuerKeyPaths } from './development/issuer-keys.ts';
export { type DevelopmentToken, developmentIssuerSettings, mintDevelopmentToken } from './development/mint.ts';
export { DEVELOPMENT_PEOPLE, type DevelopmentPerson } from './development/people.ts';
export type { FetchKeys } from './drivers/key-url.ts';
export { checkListeners, isLoopback, weaknesses } from './listeners.ts';
export { metadataPaths, type ResourceMetadata, resourceMetadata } from './metadata.ts';
export { AUTHENTICATION_REFUSALS, type AuthenticationRefusal } from './refusals.ts';
export { type SessionStage, sessionStage } from './session.ts';
export {
  openSessions,
  type Place,
  SESSION_FAULTS,
  type SessionFault,
  type Sessions,
  type SessionsOptions,
} from './sessions.ts';
export {
  type AuthenticationSettings,
  authenticationSettings,
  type IssuerSettings,
  issuerSettings,
} from './settings.ts';
export type { AuthenticationStage } from './stages.ts';
