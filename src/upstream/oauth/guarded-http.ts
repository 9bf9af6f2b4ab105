import { lookup as resolve } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher, request } from 'undici';
import { type AddressKind, addressKind, mayReach, type Reach } from './addresses.ts';
import { FaultThrown, faultIn, OAuthFault } from './fault.ts';

export interface GuardOptions {
  /** Which addresses URLs out of metadata may lead to, judged after DNS and at the moment of connecting. */
  readonly reach: Reach;
  /** Origins the operator named in the settings: reached wherever they are. */
  readonly named: readonly string[];
  /** PEM file of the authority that signs the certificates there, when it is not a public one. */
  readonly ca?: string;
}

export interface Fetched {
  readonly status: number;
  /** Parsed JSON; undefined when the body is none. */
  readonly json: unknown;
}

const MAX_BYTES = 256 * 1024;
const STEP_MS = 10_000;
const WHOLE_MS = 15_000;
const MAX_REDIRECTS = 3;
const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * HTTP to places that messages name: metadata, registration and token endpoints. Every URL is attacker-controlled
 * (server-side request forgery): https only, http only to this machine; the addresses a name has are judged where the
 * connection is made, so a second answer of DNS changes nothing; a redirect is a new URL. Bodies and time are bounded.
 */
export class GuardedHttp {
  readonly #reach: Reach;
  readonly #named: ReadonlySet<string>;
  readonly #agents: { readonly named: Agent; readonly tls: Agent; readonly clear: Agent };

  constructor(options: GuardOptions) {
    this.#reach = options.reach;
    this.#named = new Set(options.named);
    const tls = options.ca === undefined ? {} : { ca: readFileSync(options.ca) };
    const agent = (lookup?: LookupFunction) =>
      new Agent({
        connections: 4,
        connect: { timeout: STEP_MS, ...tls, ...(lookup ? { lookup } : {}) },
        headersTimeout: STEP_MS,
        bodyTimeout: STEP_MS,
      });
    this.#agents = {
      named: agent(),
      tls: agent(judgedLookup((kind) => mayReach(kind, this.#reach))),
      clear: agent(judgedLookup((kind) => kind === 'loopback')),
    };
  }

  /** Reads a JSON document. Redirects are followed, each judged like the first URL. */
  async getJson(url: string): Promise<Fetched | OAuthFault> {
    let at = url;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      try {
        const answer = await this.#request(at, { method: 'GET', headers: { accept: 'application/json' } });
        const location = answer.headers['location'];
        if (REDIRECTS.includes(answer.status) && typeof location === 'string') {
          const next = URL.parse(location, at);
          if (next === null) return new OAuthFault('blocked', `${placeOf(at)} redirects to no URL`);
          at = next.href;
          continue;
        }
        return { status: answer.status, json: parsed(answer.body) };
      } catch (error) {
        return asFault(error, at);
      }
    }
    return new OAuthFault('blocked', `${placeOf(url)} redirects without end`);
  }

  /**
   * What oauth4webapi calls in place of fetch. Redirects are never followed: what is posted here are credentials.
   * @throws FaultThrown
   */
  readonly fetch = async (
    url: string,
    options: { method: string; headers: Record<string, string>; body?: unknown },
  ): Promise<Response> => {
    try {
      const body = options.body === undefined || options.body === null ? undefined : String(options.body);
      const answer = await this.#request(url, {
        method: options.method,
        headers: options.headers,
        ...(body === undefined ? {} : { body }),
      });
      const headers = new Headers();
      for (const [name, value] of Object.entries(answer.headers)) {
        for (const one of Array.isArray(value) ? value : [value ?? '']) headers.append(name, one);
      }
      const empty = answer.status === 204 || answer.status === 205 || answer.status === 304;
      return new Response(empty ? null : new Uint8Array(answer.body), { status: answer.status, headers });
    } catch (error) {
      throw new FaultThrown(asFault(error, url));
    }
  };

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#agents).map((agent) => agent.destroy()));
  }

  async #request(
    text: string,
    options: { method: string; headers: Record<string, string>; body?: string },
  ): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }> {
    const url = URL.parse(text);
    const dispatcher = this.#dispatcher(url);
    if (url === null || dispatcher instanceof OAuthFault) {
      throw new FaultThrown(dispatcher as OAuthFault);
    }
    const answer = await request(url, {
      dispatcher,
      method: options.method as Dispatcher.HttpMethod,
      headers: options.headers,
      signal: AbortSignal.timeout(WHOLE_MS),
      ...(options.body === undefined ? {} : { body: options.body }),
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer.body) {
      size += (chunk as Buffer).length;
      // Leaving the loop destroys the body.
      if (size > MAX_BYTES) throw new FaultThrown(new OAuthFault('metadata', `${placeOf(text)} answers without end`));
      chunks.push(chunk as Buffer);
    }
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
  }

  #dispatcher(url: URL | null): Agent | OAuthFault {
    const fault = judgeUrl(url, this.#reach, this.#named);
    if (fault || url === null) return fault ?? new OAuthFault('blocked', 'this is no URL');
    if (this.#named.has(url.origin)) return this.#agents.named;
    return url.protocol === 'http:' ? this.#agents.clear : this.#agents.tls;
  }
}

/**
 * What can be said of a URL before DNS. The operator's own origins pass; credentials never travel in clear but inside
 * this machine.
 */
export function judgeUrl(url: URL | null, reach: Reach, named: ReadonlySet<string>): OAuthFault | null {
  if (url === null) return new OAuthFault('blocked', 'this is no URL');
  const place = placeOf(url.href);
  if (url.username !== '' || url.password !== '') return new OAuthFault('blocked', `${place} bears credentials`);
  if (named.has(url.origin)) return null;
  const host = url.hostname;
  const literal = isIP(host.startsWith('[') ? host.slice(1, -1) : host) !== 0;
  if (url.protocol === 'http:') {
    const local = host === 'localhost' || (literal && addressKind(host) === 'loopback');
    return local && reach === 'loopback' ? null : new OAuthFault('blocked', `${place} is not https`);
  }
  if (url.protocol !== 'https:') return new OAuthFault('blocked', `${place} is not https`);
  // A name is judged by its addresses when it is connected to; a literal never sees DNS.
  if (literal && !mayReach(addressKind(host), reach))
    return new OAuthFault('blocked', `${place} is an address outside of reach "${reach}"`);
  return null;
}

/** A lookup that fails as soon as one address of the name may not be reached: no choosing among good and bad ones. */
export function judgedLookup(may: (kind: AddressKind) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const wrong = addresses.find(({ address }) => !may(addressKind(address)));
      if (wrong || addresses.length === 0) {
        const fault = new OAuthFault('blocked', `${hostname} has an address that may not be reached`);
        return callback(new FaultThrown(fault), '', 0);
      }
      if (options.all) return callback(null, addresses);
      callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
}

/** Scheme, host and path: what an operator needs, without a query that may hold values. */
export function placeOf(url: string): string {
  const read = URL.parse(url);
  return read ? `${read.protocol}//${read.host}${read.pathname}`.slice(0, 200) : 'a URL that is none';
}

function asFault(error: unknown, url: string): OAuthFault {
  const code = (error as { code?: unknown }).code ?? (error as Error).name;
  return faultIn(error) ?? new OAuthFault('unreachable', `${placeOf(url)}: ${String(code)}`);
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // Not JSON: an expected answer of a server that has no metadata there.
    return undefined;
  }
}
