export type { AdminOperation } from './admin.ts';
export { type BundledOptions, type BundledOutcome, signBundled, writeWhole } from './bundled.ts';
export { type Draft, type DraftSource, draftManifest } from './draft.ts';
export { type Proposal, propose, scopeOf } from './draft-proposal.ts';
export type { Change, Drift, LiveDefinitions } from './drift.ts';
export { endpointOf } from './endpoint.ts';
export type { Records, RegistryEvent } from './events.ts';
export { CHANGING_LISTS, type ChangingList, type ListMethod, type ListRequest, type Visible } from './lists.ts';
export { type LoadOptions, loadManifests } from './load.ts';
export {
  type Fault,
  type ItemKind,
  KIND_OF,
  LISTS,
  type ListName,
  type Manifest,
  nameOf,
  PREFIX,
  readManifest,
  SERVER_NAME,
} from './manifest.ts';
export { collisions } from './names.ts';
export {
  type Pin,
  type Problem,
  pinManifest,
  type SchemaPort,
  type ScopePort,
  type ServerPins,
  scanManifest,
} from './pins.ts';
export type { Quarantined } from './quarantine.ts';
export { REGISTRY_REFUSALS } from './refusals.ts';
export { openRegistry, type Registry, type RegistryOptions } from './registry.ts';
export { inert, type ScanFinding } from './scan.ts';
export { type RegistrySettings, registrySettings, weakRegistry } from './settings.ts';
export { MANIFEST_TYPE, signManifest, type TrustStore, verifyManifest } from './signature.ts';
export type { VisibleTo } from './stages.ts';
export { openTrust, readPublicKeys } from './trust.ts';
