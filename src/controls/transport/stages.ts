import type { BodyFault, Endpoint, Head, WayIn } from '../../core/call.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import { acceptable, bodiless, type Fault, framing, headerLines, mediaType, splitTarget, spoken } from './head.ts';
import type { Endpoints, Names } from './places.ts';
import type { TransportSettings } from './settings.ts';

export function headStage(
  settings: TransportSettings,
  endpoints: Endpoints,
  names: { readonly public: Names; readonly admin: Names },
): Stage<never, 'endpoint'> {
  const judge: Record<WayIn, (head: Head) => Endpoint | Refusal> = {
    http(head) {
      const { host, path } = splitTarget(head.path);
      const refused = place(head, host, names.public, settings.maxHeaders);
      if (refused !== null) return refused;
      const endpoint = endpoints.mcp(path);
      if (endpoint === null) return new Refusal('transport.path');
      const fault = spoken(head) ?? (head.method === 'POST' ? posted(head, settings.maxBodyBytes) : bodiless(head));
      return fault === null ? endpoint : new Refusal(fault);
    },
    // Paths and methods of the admin API are a closed table of their own (inbound/admin); who may be spoken to is not.
    admin(head) {
      const refused = place(head, splitTarget(head.path).host, names.admin, settings.maxHeaders);
      if (refused !== null) return refused;
      const fault = spoken(head) ?? sentJson(head, settings.maxBodyBytes);
      if (fault !== null) return new Refusal(fault);
      return endpoints.admin() ?? new Refusal('transport.path');
    },
    // No HTTP head of a stranger here: the process at the other end of the pipe, or the server we are built into.
    stdio: (head) => endpoints.mcp(head.path) ?? new Refusal('transport.path'),
    harden: (head) => endpoints.mcp(head.path) ?? new Refusal('transport.path'),
  };
  return { name: 'transport.head', leaves: 'endpoint', run: (call) => judge[call.way](call.head) };
}

function posted({ headers }: Head, maxBodyBytes: number): Fault {
  return framing(headers, maxBodyBytes) ?? mediaType(headers) ?? acceptable(headers);
}

/** A body of the admin API is JSON as well; an operation without arguments needs none, and then no type (AP-06). */
function sentJson({ headers }: Head, maxBodyBytes: number): Fault {
  const fault = framing(headers, maxBodyBytes);
  if (fault !== null) return fault;
  const length = headers['content-length'];
  const empty = headers['transfer-encoding'] === undefined && (length === undefined || length === '0');
  return empty ? null : mediaType(headers);
}

/** Are we the one that is spoken to, and may whoever sent the browser here do so? Host first: routes are decided after it. */
export function place(
  head: Pick<Head, 'headers' | 'rawHeaders'>,
  targetHost: string | null,
  names: Names,
  maxHeaders: number,
): Refusal | null {
  const lines = headerLines(head.rawHeaders, maxHeaders);
  if (lines !== null) return new Refusal(lines);
  const host = head.headers['host'];
  if (typeof host !== 'string' || !names.isOurs(host)) return new Refusal('transport.host');
  if (targetHost !== null && targetHost.toLowerCase() !== host.toLowerCase()) return new Refusal('transport.host');
  const origin = head.headers['origin'];
  if (origin !== undefined && (typeof origin !== 'string' || !names.mayCall(origin)))
    return new Refusal('transport.origin');
  return null;
}

const FAULTS = {
  too_large: 'transport.too_large',
  timeout: 'transport.timeout',
  aborted: 'transport.aborted',
} as const satisfies Record<BodyFault, string>;

export function bodyStage(settings: TransportSettings): Stage<'endpoint' | 'principal', 'body'> {
  const limit = Object.freeze({ maxBytes: settings.maxBodyBytes, timeoutMs: settings.bodyTimeoutMs });
  const bytesOr = (read: Uint8Array | BodyFault) => (typeof read === 'string' ? new Refusal(FAULTS[read]) : read);
  return {
    name: 'transport.body',
    leaves: 'body',
    run(call) {
      const read = call.source.read(limit);
      return read instanceof Promise ? read.then(bytesOr) : bytesOr(read);
    },
  };
}
