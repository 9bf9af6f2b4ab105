import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { signManifest } from '../../src/controls/registry/index.ts';
import { openSigningKeys, type SigningKey } from '../../src/core/crypto/keys.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { type RawAnswer, RawConnection } from '../e2e/raw-http.ts';
import type { Case, Sent } from './attack.ts';
import { Forge } from './forge.ts';
import { type Harm, MANIFEST, POLICY, REFUSED_MANIFESTS, TWIN_MANIFEST } from './witness-definitions.ts';

const SCOPES: Readonly<Record<string, string>> = {
  reader: 'jira:read',
  approver: 'gatewrit:approvals:read gatewrit:approvals:decide',
};
const WRITER = 'jira:read jira:write';
const VERSION = '2026-07-28';
const META = { 'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': {} };
const ANSWER_MS = 10_000;

/** What came of one request. */
export interface Seen {
  readonly ending: RawAnswer | 'alert' | 'closed' | 'timeout';
  /** Whether the connection ended behind the answer; asked for only where a case wants it. */
  readonly closed: boolean;
  readonly ms: number;
  /** Lines that the upstream received meanwhile. */
  readonly reached: readonly string[];
}

/** A gateway before the witness, and attackers who can send it anything. */
export class AttackTarget {
  readonly quickstart: Quickstart;
  readonly #forge: Forge;
  readonly #witnessed: string;
  readonly #answer: string;
  /** Connections that can be used again: hundreds of cases are about a body or a token, not about a connection. */
  readonly #idle = new Map<string, RawConnection>();

  private constructor(quickstart: Quickstart) {
    this.quickstart = quickstart;
    this.#forge = new Forge(quickstart.gateway.home);
    this.#witnessed = join(quickstart.gateway.home, 'witnessed.jsonl');
    this.#answer = join(quickstart.gateway.home, 'answer.json');
  }

  static async start(settings: Readonly<Record<string, unknown>>): Promise<AttackTarget> {
    const quickstart = await Quickstart.start({
      settings: {
        audit: { strangers: { perSecond: 100_000, perMinute: 100_000 } },
        upstreams: { witness: witness(), twin: witness({ WITNESS_TWIN: '1' }), 'internal-readonly': undefined },
        ...settings,
      },
      policy: POLICY,
      async prepare(home) {
        const [key] = openSigningKeys({ folder: join(home, 'keys'), generate: true }, 'operator');
        mkdirSync(join(home, 'registry'), { mode: 0o700 });
        const write = (server: string, token: string) =>
          writeFileSync(join(home, 'registry', `${server}.jws`), token, { mode: 0o600 });
        write('witness', await signManifest(MANIFEST, key));
        write('twin', await signManifest(TWIN_MANIFEST(), key));
        for (const [server, harm] of Object.entries(REFUSED_MANIFESTS)) write(server, await harmed(server, harm, key));
      },
    });
    return new AttackTarget(quickstart);
  }

  async close(): Promise<void> {
    for (const connection of this.#idle.values()) connection.destroy();
    await this.quickstart.close();
  }

  /** Every call that reached the upstream so far. */
  witnessed(): string[] {
    return existsSync(this.#witnessed) ? readFileSync(this.#witnessed, 'utf8').split('\n').filter(Boolean) : [];
  }

  async attack(one: Case): Promise<Seen> {
    this.#prepare(one);
    const before = this.witnessed().length;
    const started = performance.now();
    const place = reusable(one);
    let connection: RawConnection;
    try {
      connection = this.#idle.get(place)?.open ? this.#idle.get(place)! : await this.#connect(one);
      this.#idle.delete(place);
    } catch (cause) {
      const { code = '' } = cause as NodeJS.ErrnoException;
      // Anything else would be our own trouble, which proves nothing.
      if (!/ALERT/.test(code)) throw cause;
      return { ending: 'alert', closed: true, ms: performance.now() - started, reached: [] };
    }
    let again = false;
    try {
      connection.send(this.request(one));
      const ending = await connection.answer(ANSWER_MS, one.verb ?? 'POST');
      const ms = performance.now() - started;
      const closed = one.expect.closes === true ? await connection.ends(3_000) : false;
      again = place !== '' && typeof ending === 'object' && ending.headers['connection'] !== 'close';
      return { ending, closed, ms, reached: this.witnessed().slice(before) };
    } finally {
      if (again) this.#idle.set(place, connection);
      else connection.destroy();
    }
  }

  #prepare({ answers }: Case): void {
    if (answers === undefined) return;
    const { result, error, raw, flood, times = 1 } = answers;
    const said = error === undefined ? { result } : { error };
    writeFileSync(this.#answer, JSON.stringify({ raw, flood, said }).replaceAll('@@', 'x'.repeat(times)));
  }

  #connect({ listener, tls, from }: Sent): Promise<RawConnection> {
    const { mcp, admin, ca } = this.quickstart.gateway.ready;
    return RawConnection.open(
      { url: listener === 'admin' ? admin : mcp, ca },
      { ...tls, ...(from ? { localAddress: from } : {}) },
    );
  }

  /** The bytes of one request, head and body. */
  request(one: Sent): Buffer {
    const { mcp, admin } = this.quickstart.gateway.ready;
    const host = new URL(one.listener === 'admin' ? admin : mcp).host;
    const path = one.path ?? (one.listener === 'admin' ? '/api/approvals' : '/mcp');
    const token = this.#token(one, path);
    const fill = (text: string) =>
      text
        .replaceAll('{mcp}', mcp)
        .replaceAll('{admin}', admin)
        .replaceAll('{host}', host)
        .replaceAll('{token}', token ?? '');
    if (one.raw !== undefined)
      return Buffer.from(fill(one.raw).replaceAll(/\r?\n/g, '\r\n').replaceAll('{valid}', this.#body(one).toString()));
    const body = one.gzip ? gzipSync(this.#body(one)) : this.#body(one);
    const headers: Record<string, string | string[] | null> = {
      Host: host,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...mirrored(one),
      ...framing(one, body.length),
      ...one.headers,
    };
    const lines = Object.entries(headers).flatMap(([name, value]) =>
      value === null ? [] : [value].flat().map((each) => `${name}: ${fill(each)}`),
    );
    const head = `${one.verb ?? 'POST'} ${fill(path)} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head, 'latin1'), one.framing === 'chunked' ? chunked(body) : body]);
  }

  #token({ token, as = 'writer', listener }: Sent, path: string): string | null {
    if (typeof token === 'string' || token === null) return token;
    const { mcp, admin, issuer } = this.quickstart.gateway.ready;
    const audience = listener === 'admin' ? `${admin}/api` : path.startsWith('/mcp/witness') ? `${mcp}/witness` : mcp;
    const now = Math.floor(Date.now() / 1000);
    const groups = as === 'approver' ? { groups: ['approvers'] } : {};
    const good = {
      iss: issuer,
      sub: as,
      aud: audience,
      scope: SCOPES[as] ?? WRITER,
      client_id: 'attacks',
      iat: now,
      exp: now + 300,
      ...groups,
    };
    const recipe = token ?? {};
    // Placeholders in claims are filled before signing.
    const claims = JSON.parse(
      JSON.stringify(recipe.claims ?? {})
        .replaceAll('{mcp}', mcp)
        .replaceAll('{issuer}', issuer),
    ) as Record<string, unknown>;
    return this.#forge.token({ ...recipe, claims }, good);
  }

  #body(one: Sent): Buffer {
    if (one.body === null || (one.listener === 'admin' && one.body === undefined)) return Buffer.alloc(0);
    if (one.bytes !== undefined) return Buffer.from(one.bytes, 'base64');
    let text = JSON.stringify(messageOf(one));
    if (one.body !== undefined) text = one.body.replaceAll('{valid}', text);
    for (const [find, replace] of one.edit ?? []) {
      if (!text.includes(find)) throw new Error(`nothing to edit: ${find} in ${text.slice(0, 300)}`);
      text = text.replace(find, () => replace);
    }
    for (const { mark, text: piece, times } of one.fill ?? []) {
      const counted = piece.includes('{n}');
      text = text.replace(mark, () =>
        counted
          ? Array.from({ length: times }, (_, n) => piece.replace('{n}', String(n))).join('')
          : piece.repeat(times),
      );
    }
    return Buffer.from(text);
  }
}

/** Where a case may share a connection with others; '' when connection or framing are what it is about. */
function reusable({
  raw,
  tls,
  framing: how,
  headers,
  expect,
  verb,
  together,
  listener = 'public',
  from = '',
}: Case): string {
  if (raw !== undefined || together !== undefined || tls || how || headers || verb || expect.closes != null) return '';
  return `${listener} ${from}`;
}

function witness(more: Readonly<Record<string, string>> = {}): object {
  return {
    stdio: {
      command: 'node',
      args: [join(import.meta.dirname, 'witness.ts')],
      env: { WITNESS_FILE: 'home:witnessed.jsonl', WITNESS_ANSWER: 'home:answer.json', ...more },
    },
  };
}

/** A manifest of a server that nobody should get to use. */
async function harmed(server: string, harm: Harm, key: SigningKey): Promise<string> {
  const manifest = { ...TWIN_MANIFEST(), server, prefix: server, ...harm.laid };
  const signer = harm.by === 'stranger' ? { ...key, privateKey: generateKeyPairSync('ed25519').privateKey } : key;
  const [head, body, signature] = (await signManifest(manifest, signer)).split('.') as [string, string, string];
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
  const write = (tree: object) => Buffer.from(JSON.stringify(tree)).toString('base64url');
  const bytes = Buffer.from(signature, 'base64url');
  if (harm.flip) bytes[7]! ^= 1;
  return [
    harm.header ? write({ ...read(head), ...harm.header }) : head,
    harm.after ? write({ ...read(body), ...harm.after }) : body,
    bytes.toString('base64url'),
  ].join('.');
}

/** The call that leaves a trace when it is let through, unless the case says another message. */
function messageOf({ message, arguments: args, revision }: Sent): Record<string, unknown> {
  const call = { name: 'witness__write_note', arguments: args ?? { title: 'x' } };
  if (revision !== undefined) return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: call, ...message };
  const params = { ...call, _meta: META };
  const laid = { jsonrpc: '2.0', id: 1, method: 'tools/call', params, ...message };
  const own = laid.params as Record<string, unknown> | null;
  if (message?.['params'] && !Array.isArray(own) && own && !('_meta' in own))
    laid.params = { ...own, _meta: META } as typeof params;
  if (message && 'method' in message && !('params' in message)) laid.params = { _meta: META } as typeof params;
  return laid;
}

/** What a good client would say again in headers. */
function mirrored(one: Sent): Record<string, string> {
  if (one.listener === 'admin' || one.revision === 'none') return {};
  if (one.revision !== undefined) return { 'mcp-protocol-version': one.revision };
  const { method, params } = messageOf(one) as { method?: unknown; params?: Record<string, unknown> };
  const name = params?.['name'] ?? params?.['uri'] ?? params?.['taskId'];
  return {
    'mcp-protocol-version': VERSION,
    ...(typeof method === 'string' ? { 'mcp-method': method } : {}),
    ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
  };
}

function framing({ framing: how }: Sent, length: number): Record<string, string> {
  if (how === 'chunked') return { 'transfer-encoding': 'chunked' };
  return { 'content-length': String(typeof how === 'object' ? how.length : length) };
}

function chunked(body: Buffer): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += 65_536) {
    const piece = body.subarray(at, at + 65_536);
    chunks.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')]);
}
