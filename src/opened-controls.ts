import { join } from 'node:path';
import type { Configuration } from './configuration.ts';
import { endpointsOf } from './configured-servers.ts';
import { openApproval } from './controls/approval/index.ts';
import { openAudit } from './controls/audit/index.ts';
import { openAuthentication, openSessions } from './controls/authentication/index.ts';
import { openAuthorization } from './controls/authorization/index.ts';
import { openErrors } from './controls/errors/index.ts';
import { openLimits } from './controls/limits/index.ts';
import { openRedaction } from './controls/redaction/index.ts';
import { openRegistry, type RegistryEvent } from './controls/registry/index.ts';
import { openTransport } from './controls/transport/index.ts';
import { openValidation } from './controls/validation/index.ts';
import type { Now } from './core/call.ts';
import type { End } from './core/closing.ts';
import { type KeyFolder, openSymmetricKeys } from './core/crypto/keys.ts';
import type { InFlight } from './core/in-flight.ts';
import { ITSELF } from './core/itself.ts';
import type { Log } from './core/log.ts';
import { openEphemeralMemory } from './core/store/ephemeral-memory.ts';
import type { Store } from './core/store/store.ts';
import { type ProtectedResources, type PublicUrls, servedUnder } from './resources.ts';
import type { Sections } from './sections.ts';

export interface ControlsParts {
  readonly configuration: Configuration;
  readonly settings: Sections;
  readonly home: string;
  readonly urls: PublicUrls;
  readonly resources: ProtectedResources;
  readonly keys: KeyFolder;
  readonly store: Store;
  readonly inFlight: InFlight;
  /** What is relaxed, in words. */
  readonly weak: readonly string[];
  /** What a server offers has changed. */
  readonly onChange: (server: string) => void;
  /** The audit log cannot go on. */
  readonly onFatal: (error: Error) => void;
  readonly clock: () => Now;
  readonly log: Log;
}

export type Controls = Awaited<ReturnType<typeof openControls>>;

const SWEEP_MS = 30_000;

/**
 * The ten controls, built, checked and introduced to each other: what one asks of another it asks through a port of its
 * own, and here it is told who answers.
 * @param closing gets what ends them, as they are opened
 * @throws SettingsError, InternalError with a sentence for the operator
 */
export async function openControls(parts: ControlsParts, closing: End[]) {
  const { configuration, settings, home, keys, store, inFlight, clock, log } = parts;
  const { listen } = configuration;
  const ephemeral = openEphemeralMemory();
  const stateSeal = openSymmetricKeys(keys, 'state-seal');

  const audit = await openAudit({
    settings: settings.audit,
    home,
    keys,
    store,
    deployment: listen.deployment,
    replica: `${listen.node}-0`,
    onFatal: parts.onFatal,
    weak: () => parts.weak,
    onKeyFault: (cause) => log.error('changed keys of the audit log were not taken over; the old ones stay', {}, cause),
    clock,
    log,
  });
  closing.push(() => audit.close());

  const transport = openTransport({
    settings: settings.transport,
    home,
    resources: servedUnder(parts.urls, parts.resources),
  });

  const limits = openLimits({
    settings: settings.limits,
    ephemeral,
    facts: { verified: (call) => authentication.verified(call), inFlight: () => inFlight.size },
  });
  closing.push(() => limits.close());
  const authentication = await openAuthentication({
    settings: settings.authentication,
    home,
  });
  closing.push(() => authentication.close());
  const { hours, ...remembered } = settings.authentication.sessions;
  const sessions = openSessions({
    seal: stateSeal,
    lifeMs: hours * 3_600_000,
    ...remembered,
  });

  const validation = openValidation({
    settings: settings.validation,
    keys: stateSeal,
    ephemeral,
    since: clock().utc,
  });

  const authorization = await openAuthorization({
    settings: settings.authorization,
    folder: join(home, 'policy'),
    now: clock,
    report: (fault) => log.error('policy could not be evaluated', { code: fault.code }, fault),
  });
  closing.push(() => authorization.close());

  const approval = openApproval({
    settings: settings.approval,
    store,
    vault: audit.vault,
    records: {
      record: ({ kind, meta, ...whose }) =>
        audit.record({ kind: 'approval', ...whose, approval: String(meta['id']), meta: { event: kind, ...meta } }),
    },
    mac: openSymmetricKeys(keys, 'approval-mac'),
  });
  const sweep = setInterval(
    () => void approval.sweep(clock()).catch((cause) => log.error('expired approvals could not be swept', {}, cause)),
    SWEEP_MS,
  );
  sweep.unref();
  closing.push(async () => {
    clearInterval(sweep);
    await approval.close();
  });

  const operations = Object.entries({ ...approval.operations, ...audit.operations }).map(([name, operation]) => ({
    name,
    ...operation,
  }));
  const registry = await openRegistry({
    settings: settings.registry,
    home,
    keys,
    seal: stateSeal,
    schemas: validation.schemas,
    scopes: { accepts: (scopes) => authorization.catalogue.accepts(scopes) },
    admin: operations,
    endpoints: endpointsOf(configuration),
    records: { record: (event) => tell(log, event) },
    info: ITSELF,
    listChanged: true,
    onChange: parts.onChange,
    now: clock().utc,
  });

  const redaction = openRedaction({
    settings: settings.redaction,
    keys: openSymmetricKeys(keys, 'redaction-token'),
    outputSchema: { check: (target, structured) => validation.outputFault(target, structured) },
  });
  const errors = openErrors({ settings: settings.errors });

  return {
    audit,
    transport,
    limits,
    authentication,
    sessions,
    validation,
    authorization,
    approval,
    operations,
    registry,
    redaction,
    errors,
  };
}

/** What the registry found out goes to the operator; what it withholds stands in the answers and records of calls. */
function tell(log: Log, { event, text, server, target, code }: RegistryEvent): void {
  const level = event === 'observed' || event === 'recovered' ? 'info' : 'warn';
  log[level](`registry: ${text}`, { kind: event, server, target, code });
}
