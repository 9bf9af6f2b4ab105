import type { Configuration, Section } from './configuration.ts';
import { approvalSettings } from './controls/approval/index.ts';
import { auditSettings } from './controls/audit/index.ts';
import {
  type AuthenticationSettings,
  authenticationSettings,
  developmentIssuerSettings,
  isLoopback,
  weaknesses,
} from './controls/authentication/index.ts';
import { authorizationSettings } from './controls/authorization/index.ts';
import { errorsSettings } from './controls/errors/index.ts';
import { limitsSettings, weakLimits } from './controls/limits/index.ts';
import { redactionSettings, redactionWeaknesses } from './controls/redaction/index.ts';
import { registrySettings, weakRegistry } from './controls/registry/index.ts';
import { transportSettings, weakTransport } from './controls/transport/index.ts';
import { validationSettings, weakValidation } from './controls/validation/index.ts';
import { readSection } from './core/settings.ts';

export interface SectionsOptions {
  readonly configuration: Configuration;
  readonly home: string;
  /** The embedded issuer, in development only. */
  readonly development: { readonly issuer: string } | null;
}
export type Sections = ReturnType<typeof readSections>;

/** Schemas of the ten controls, by the name of their section. */
export const CONTROL_SECTIONS = {
  authentication: authenticationSettings,
  authorization: authorizationSettings,
  approval: approvalSettings,
  validation: validationSettings,
  redaction: redactionSettings,
  audit: auditSettings,
  registry: registrySettings,
  transport: transportSettings,
  errors: errorsSettings,
  limits: limitsSettings,
} as const;

/** Every control's section, read before anything is opened: a wrong key stops the start with nothing done. */
export function readSections(options: SectionsOptions) {
  const section = (name: Section) => options.configuration.section(name);
  return {
    authentication: authenticationSection(options),
    authorization: readSection('authorization', authorizationSettings, section('authorization')),
    approval: readSection('approval', approvalSettings, section('approval')),
    validation: readSection('validation', validationSettings, section('validation')),
    redaction: readSection('redaction', redactionSettings, section('redaction')),
    audit: readSection('audit', auditSettings, section('audit')),
    registry: readSection('registry', registrySettings, section('registry')),
    transport: readSection('transport', transportSettings, section('transport')),
    errors: readSection('errors', errorsSettings, section('errors')),
    limits: readSection('limits', limitsSettings, section('limits')),
  };
}

/** In development the one issuer is the embedded one; a second one is refused by the control itself. */
function authenticationSection({ configuration, development, home }: SectionsOptions): AuthenticationSettings {
  const raw = (configuration.section('authentication') ?? {}) as Record<string, unknown>;
  if (!development) return readSection('authentication', authenticationSettings, raw);
  const embedded = developmentIssuerSettings(home, development.issuer);
  return readSection('authentication', authenticationSettings, {
    ...raw,
    issuers: [embedded, ...((raw['issuers'] as unknown[]) ?? [])],
  });
}

/** What is relaxed, in words; stands in every record, in `check` and on the console. */
export function weaknessesOf(settings: Sections, configuration: Configuration): readonly string[] {
  return [
    ...weaknesses(settings.authentication),
    ...(settings.authorization.mode === 'observe'
      ? ['authorization.mode is observe: calls that policy denies go through']
      : []),
    ...weakValidation(settings.validation),
    ...redactionWeaknesses(settings.redaction),
    ...weakRegistry(settings.registry),
    ...weakTransport(settings.transport),
    ...weakLimits(settings.limits),
    ...clearUpstreams(configuration),
    ...(configuration.store.driver === 'memory'
      ? ['store.driver is memory: approvals and keys are lost at the end']
      : []),
  ];
}

/** Calls, and our own credential, that leave this machine without TLS. */
function clearUpstreams(configuration: Configuration): string[] {
  return Object.entries(configuration.upstreams).flatMap(([name, upstream]) => {
    if (!('http' in upstream)) return [];
    const { protocol, hostname } = new URL(upstream.http.url);
    return protocol === 'http:' && !isLoopback(hostname)
      ? [`upstreams.${name}: calls leave this machine without TLS`]
      : [];
  });
}
