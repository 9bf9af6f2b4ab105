import { type Classified, numberAt, textOf } from './message-kind.ts';
import { MAX_NOTIFICATION_BYTES } from './notices.ts';
import { MODERN } from './outgoing.ts';
import { modernMeta, type Session } from './session.ts';
import type { Incoming, Outgoing, WireFault } from './wire.ts';

/** `notifications` of `subscriptions/listen`, as asked for and as honoured. */
export interface ListenFilter {
  readonly toolsListChanged?: true;
  readonly promptsListChanged?: true;
  readonly resourcesListChanged?: true;
  readonly resourceSubscriptions?: readonly string[];
  /** Of the tasks extension: only where `capabilities` name it. */
  readonly taskIds?: readonly string[];
}

const ACKNOWLEDGED = '"notifications/subscriptions/acknowledged"';
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

/** The lists of which this server says that it tells changes. */
export function changingLists({ capabilities }: Pick<Session, 'capabilities'>): ListenFilter {
  const tells = (part: string) => (capabilities[part] as { listChanged?: unknown } | undefined)?.listChanged === true;
  return {
    ...(tells('tools') ? { toolsListChanged: true } : {}),
    ...(tells('prompts') ? { promptsListChanged: true } : {}),
    ...(tells('resources') ? { resourcesListChanged: true } : {}),
  };
}

/**
 * One `subscriptions/listen`, until its stream ends (protocol.md 1.9). What comes before the acknowledgement, or bears
 * another subscription's id, is not heard.
 * @param heard `onHonoured`: URIs and tasks the server acknowledged; `onEvent`: each notification after that
 * @param capabilities of the client for which is listened; ours, which are none, when it is for all of them
 */
export function listen(
  { wire }: Session,
  id: number,
  filter: ListenFilter,
  signal: AbortSignal,
  heard: {
    onHonoured(resources: readonly string[], tasks: readonly string[]): void;
    onEvent(message: Uint8Array, read: Classified): void;
  },
  capabilities: object = {},
): Promise<Incoming | WireFault> {
  let acknowledged = false;
  const params = { notifications: filter, _meta: modernMeta(capabilities) };
  const request: Outgoing = {
    id,
    method: 'subscriptions/listen',
    bytes: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: 'subscriptions/listen', params })),
    headers: ['mcp-protocol-version', MODERN, 'mcp-method', 'subscriptions/listen'],
    timeoutMs: 0,
    maxBytes: MAX_NOTIFICATION_BYTES,
    signal,
    onOther: (message, read) => {
      const { kind, spans } = read;
      const own = spans?.metaMembers.get(SUBSCRIPTION_ID);
      if (kind !== 'notification' || !own || numberAt(message, own) !== id) return;
      if (acknowledged) return heard.onEvent(message, read);
      if (textOf(message, spans!.method!) !== ACKNOWLEDGED) return;
      acknowledged = true;
      const said = saidIn(message);
      heard.onHonoured(
        amongst(filter.resourceSubscriptions, said?.resourceSubscriptions),
        amongst(filter.taskIds, said?.taskIds),
      );
    },
  };
  return wire.exchange(request);
}

function saidIn(message: Uint8Array): Readonly<Record<keyof ListenFilter, unknown>> | undefined {
  const { params } = JSON.parse(Buffer.from(message).toString()) as {
    params?: { notifications?: Readonly<Record<keyof ListenFilter, unknown>> };
  };
  return params?.notifications ?? undefined;
}

/** A server honours what was asked for or less. */
function amongst(asked: readonly string[] = [], said: unknown): readonly string[] {
  return Array.isArray(said) ? asked.filter((one) => said.includes(one)) : [];
}
