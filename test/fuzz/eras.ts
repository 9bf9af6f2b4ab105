import { classifyInboundRequest } from '@modelcontextprotocol/server';
import fc from 'fast-check';
import { openValidation, validationSettings } from '../../src/controls/validation/index.ts';
import { type CallWith, MODERN_REVISION } from '../../src/core/call.ts';
import { encodeRefusal } from '../../src/core/mcp/wire.ts';
import { Refusal } from '../../src/core/stage.ts';
import { openEphemeralMemory } from '../../src/core/store/ephemeral-memory.ts';

/** One POST: a body of our own making, and the headers an era is read from. */
interface Posted {
  readonly body: Body;
  readonly version: string | undefined;
  readonly method: string | undefined;
}
type Body = Readonly<Record<string, unknown>> | readonly unknown[];

/** What was made of it: an era, or HTTP status and JSON-RPC code of the refusal. */
type Verdict = 'modern' | 'legacy' | `refused ${number} ${number}`;

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

const { stages } = openValidation({
  settings: validationSettings.parse({}),
  keys: [{ kid: 'k', secret: new Uint8Array(32) }],
  ephemeral: openEphemeralMemory(),
  since: 0,
});

function ours({ body, version, method }: Posted): Verdict {
  const headers = { 'mcp-protocol-version': version, 'mcp-method': method };
  const call = { id: 'c', way: 'http', body: Buffer.from(JSON.stringify(body)), head: { headers } };
  const left = stages.message.run(call as unknown as CallWith<'endpoint' | 'principal' | 'body'>, { utc: 0, mono: 0 });
  if (!(left instanceof Refusal))
    return (left as { revision: string }).revision === MODERN_REVISION ? 'modern' : 'legacy';
  // The era is known by then, only the method or its params are not.
  if (left.code === 'validation.method' || left.code === 'validation.params')
    return left.facts.legacy ? 'legacy' : 'modern';
  const { status, body: answer } = encodeRefusal(call as never, left);
  const { error } = JSON.parse(Buffer.from(answer).toString()) as { error: { code: number } };
  return `refused ${status} ${error.code}`;
}

function theirs({ body, version, method }: Posted): Verdict {
  const found = classifyInboundRequest({
    httpMethod: 'POST',
    body: JSON.parse(JSON.stringify(body)) as unknown,
    ...(version === undefined ? {} : { protocolVersionHeader: version }),
    ...(method === undefined ? {} : { mcpMethodHeader: method }),
  });
  if (found.kind === 'legacy') return 'legacy';
  if (found.kind === 'reject') return `refused ${found.httpStatus} ${found.code}`;
  // A revision it does not serve is refused by the gate right behind the classification.
  return found.classification.revision === MODERN_REVISION ? 'modern' : 'refused 400 -32022';
}

interface Seen {
  readonly posted: Posted;
  readonly ours: Verdict;
  readonly theirs: Verdict;
}

/** The whole list of where we differ on purpose, with the reason. */
const DIFFERENCES: Readonly<Record<string, (seen: Seen) => boolean>> = {
  'SEP-2243: a modern request without its mirrored headers is refused at once; the SDK does it one step later': (
    seen,
  ) =>
    seen.theirs === 'modern' &&
    seen.ours === 'refused 400 -32020' &&
    (seen.posted.version === undefined || seen.posted.method === undefined),
  'a mirrored header may not contradict a body of any era: somebody may have routed by it (threats.md HD-01)': (seen) =>
    seen.theirs === 'legacy' && seen.ours === 'refused 400 -32600' && contradicts(seen.posted),
  'initialize with a claim in _meta is a modern message: never a silent way back (protocol.md 1.1)': (seen) =>
    methodOf(seen.posted.body) === 'initialize' && claims(seen.posted.body) && seen.ours !== 'legacy',
  'a revision in the header that nobody speaks is refused here (protocol.md 1.6); in the SDK by its transport': (
    seen,
  ) =>
    seen.theirs === 'legacy' &&
    seen.ours === 'refused 400 -32600' &&
    ['1999-01-01', ''].includes(seen.posted.version ?? 'none'),
  'arrays are refused here and split by the session that may send them (workflows/batch.ts)': (seen) =>
    Array.isArray(seen.posted.body) && seen.ours === 'refused 400 -32600',
  'a response is no part of the revision its header names (protocol.md 1.2)': (seen) =>
    !('method' in seen.posted.body) &&
    seen.theirs === 'legacy' &&
    (seen.posted.version ?? '').trim() >= MODERN_REVISION,
  'clientInfo and logLevel are judged by who uses them; clientInfo is never needed (protocol.md 1.3)': (seen) =>
    seen.theirs === 'refused 400 -32602' && oddMeta(seen.posted.body) && seen.ours !== 'legacy',
  'only notifications/* may come without an id (JS-06)': (seen) =>
    !('id' in seen.posted.body) &&
    !(methodOf(seen.posted.body) ?? '').startsWith('notifications/') &&
    seen.ours === 'refused 400 -32600',
  'an unknown revision is named before what else is wrong: in a later one it may be right': (seen) =>
    seen.theirs.startsWith('refused 400') &&
    ['refused 400 -32022', 'refused 400 -32020'].includes(seen.ours) &&
    namesUnknown(seen.posted),
};

/** The first `runs` requests from `seed` (undefined: any) are judged by both. @throws with the smallest request they disagree on */
export function agreeOnEras(runs: number, seed?: number): ReadonlyMap<string, number> {
  const differed = new Map<string, number>();
  fc.assert(
    fc.property(posted, (one) => {
      const seen: Seen = { posted: one, ours: ours(one), theirs: theirs(one) };
      const reason =
        seen.ours === seen.theirs
          ? `agreed: ${seen.ours}`
          : Object.keys(DIFFERENCES).find((name) => DIFFERENCES[name]!(seen));
      if (reason === undefined) throw new Error(`we say ${seen.ours}, the SDK says ${seen.theirs}`);
      differed.set(reason, (differed.get(reason) ?? 0) + 1);
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
  return differed;
}

export const DIFFERENCE_NAMES: readonly string[] = Object.keys(DIFFERENCES);

function metaOf(body: Body): Readonly<Record<string, unknown>> {
  const params = (body as Readonly<Record<string, unknown>>)['params'];
  const meta = isObject(params) ? params['_meta'] : undefined;
  return isObject(meta) ? meta : {};
}

function methodOf(body: Body): string | undefined {
  const { method } = body as { method?: unknown };
  return typeof method === 'string' ? method : undefined;
}

function claims(body: Body): boolean {
  return VERSION in metaOf(body);
}

function namesUnknown({ body, version }: Posted): boolean {
  const claimed = metaOf(body)[VERSION] ?? version?.trim();
  return typeof claimed === 'string' && claimed !== MODERN_REVISION;
}

function oddMeta(body: Body): boolean {
  const meta = metaOf(body);
  return meta['io.modelcontextprotocol/clientInfo'] === 7 || meta['io.modelcontextprotocol/logLevel'] === 'loud';
}

function contradicts({ body, method }: Posted): boolean {
  return method !== undefined && method.trim() !== (methodOf(body) ?? '');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Mostly `good`, now and then one of the others. */
function mostly<T>(good: fc.Arbitrary<T>, ...others: unknown[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 20, arbitrary: good as fc.Arbitrary<unknown> },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
}

const versions = fc.constantFrom(
  MODERN_REVISION,
  MODERN_REVISION,
  '2025-11-25',
  '2025-06-18',
  '2025-03-26',
  '2031-01-01',
  '1999-01-01',
);
const meta = fc.record(
  {
    [VERSION]: mostly(fc.oneof({ weight: 4, arbitrary: fc.constant(MODERN_REVISION) }, versions), 7, null, ''),
    [CAPABILITIES]: mostly(fc.constantFrom({}, { elicitation: {} }), [], 5, null),
    'io.modelcontextprotocol/clientInfo': mostly(fc.constant({ name: 'c', version: '1' }), 7),
    'io.modelcontextprotocol/logLevel': mostly(fc.constant('info'), 'loud'),
    progressToken: mostly(fc.constantFrom(1, 'a'), 1.5, {}, null),
    other: fc.constant(1),
  },
  { requiredKeys: [] },
);
const claiming = fc.record({ [VERSION]: fc.constant(MODERN_REVISION), [CAPABILITIES]: fc.constant({}) });
const params = fc.record(
  {
    _meta: fc.oneof(
      { weight: 2, arbitrary: meta as fc.Arbitrary<unknown> },
      { weight: 2, arbitrary: claiming },
      { weight: 1, arbitrary: mostly(fc.constant({}), 7, [], null) },
    ),
    protocolVersion: versions,
    name: fc.constant('x'),
  },
  { requiredKeys: [] },
);
const methods = fc.constantFrom(
  'tools/list',
  'tools/list',
  'server/discover',
  'initialize',
  'ping',
  'no/such',
  'notifications/initialized',
  'notifications/cancelled',
);
const ids = mostly(fc.constantFrom(1, 'a', 0), null, 1.5, true);
const base = { jsonrpc: mostly(fc.constant('2.0'), '1.0') };
const asking = { ...base, method: methods, params: mostly(params, [], 7) };
const message = fc.oneof(
  { weight: 8, arbitrary: fc.record({ ...asking, id: ids }, { requiredKeys: ['jsonrpc', 'method', 'id'] }) },
  { weight: 3, arbitrary: fc.record(asking, { requiredKeys: ['jsonrpc', 'method'] }) },
  { weight: 1, arbitrary: fc.record({ ...asking, id: ids, extra: fc.constant(1) }) },
  { weight: 1, arbitrary: fc.record({ ...base, id: ids, result: mostly(fc.constant({}), 7, []) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ...base,
      id: ids,
      error: mostly(fc.constant({ code: 1, message: 'm' }), { code: 'x', message: 'm' }, { code: 1 }, 7),
    }),
  },
) as fc.Arbitrary<Readonly<Record<string, unknown>>>;
const body: fc.Arbitrary<Body> = fc.oneof(
  { weight: 20, arbitrary: message },
  { weight: 1, arbitrary: fc.array(message, { maxLength: 3 }) },
);
const posted: fc.Arbitrary<Posted> = body.chain((one) =>
  fc.record({
    body: fc.constant(one),
    version: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(MODERN_REVISION, ` ${MODERN_REVISION}\t`, undefined) },
      { weight: 2, arbitrary: fc.oneof(versions, fc.constant('')) },
    ),
    method: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(methodOf(one), ` ${methodOf(one) ?? ''}\t`, undefined) },
      { weight: 1, arbitrary: methods },
    ),
  }),
);
