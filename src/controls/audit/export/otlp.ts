import type { OpenRecord } from '../reader/read.ts';
import type { Intents } from './intents.ts';
import { type ExportFacts, ocsfEvents } from './ocsf.ts';

/** SeverityNumber of the OpenTelemetry log data model, by `severity_id` of OCSF. */
const SEVERITIES: Readonly<Record<number, readonly [number, string]>> = {
  1: [9, 'INFO'],
  2: [13, 'WARN'],
  3: [13, 'WARN'],
  4: [17, 'ERROR'],
};

interface Event {
  readonly class_uid: number;
  readonly severity_id: number;
  readonly time: number;
  readonly metadata: { readonly uid: string; readonly event_code: string; readonly correlation_uid?: string };
}

/**
 * A whole ExportLogsServiceRequest of OTLP/HTTP in the JSON mapping: the body of each log record is the OCSF event. What
 * tells a record that comes twice stands in the attributes: origin and leaf. `intents` has seen the records before these.
 */
export function otlpOf(records: readonly OpenRecord[], facts: ExportFacts, intents?: Intents): object {
  const byReplica = Map.groupBy(records, ({ replica }) => replica);
  return {
    resourceLogs: [...byReplica].map(([replica, list]) => ({
      resource: {
        attributes: [
          attribute('service.name', 'gatewrit'),
          attribute('service.namespace', facts.deployment),
          attribute('service.instance.id', replica),
          attribute('service.version', facts.version),
        ],
      },
      scopeLogs: [
        {
          scope: { name: 'gatewrit.audit', version: facts.version },
          logRecords: list.flatMap((record) =>
            ocsfEvents(record, facts, intents?.of(record)).map((event) => logRecord(record, event as Event)),
          ),
        },
      ],
    })),
  };
}

function logRecord({ origin, leaf, index, leafHash, envelope }: OpenRecord, event: Event): object {
  const [severityNumber, severityText] = SEVERITIES[event.severity_id] ?? [0, ''];
  const name = `gatewrit.audit.${event.metadata.event_code}`;
  // Nanoseconds do not fit into a double: six zeros behind the milliseconds, as text.
  const time = `${event.time}000000`;
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber,
    severityText,
    eventName: name,
    body: anyValue(event),
    attributes: [
      attribute('event.name', name),
      attribute('gatewrit.record.uid', event.metadata.uid),
      attribute('gatewrit.record.origin', origin),
      attribute('gatewrit.record.leaf', leaf),
      attribute('gatewrit.record.index', index),
      attribute('gatewrit.record.leaf_hash', leafHash.toString('base64')),
      attribute('gatewrit.record.kind', envelope.kind),
      attribute('ocsf.class_uid', event.class_uid),
      ...(event.metadata.correlation_uid === undefined
        ? []
        : [attribute('gatewrit.call.id', event.metadata.correlation_uid)]),
    ],
  };
}

function attribute(key: string, value: unknown): object {
  return { key, value: anyValue(value) };
}

/** AnyValue: 64-bit integers are text in the JSON mapping of protobuf. */
function anyValue(value: unknown): object {
  switch (typeof value) {
    case 'string':
      return { stringValue: value };
    case 'boolean':
      return { boolValue: value };
    case 'number':
      return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
    default:
      if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
      if (value === null || value === undefined) return {};
      return { kvlistValue: { values: Object.entries(value).map(([key, one]) => attribute(key, one)) } };
  }
}
