export { type Authorization, type AuthorizationOptions, openAuthorization } from './authorization.ts';
export { type Inspection, inspect } from './bundle.ts';
export { type Catalogue, readCatalogue, type ScopeEntry } from './catalogue.ts';
export {
  type DecisionCase,
  differences,
  principalOf,
  principalShape,
  type Rehearsal,
  readDecisionCases,
  rehearse,
  targetOf,
  targetShape,
} from './decision-cases.ts';
export { writeDefaultPolicy } from './defaults.ts';
export { Engine } from './engine.ts';
export { readPolicyFolder } from './folder.ts';
export { type FaultReport, VISIBILITIES, type Visibility } from './judge.ts';
export { AUTHORIZATION_REFUSALS, type AuthorizationRefusal } from './refusals.ts';
export type { Rule } from './rules.ts';
export { type AuthorizationSettings, authorizationSettings } from './settings.ts';
export type { AuthorizationStages } from './stages.ts';
