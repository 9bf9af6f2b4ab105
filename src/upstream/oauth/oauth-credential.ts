import type { AuthorizationServer } from 'oauth4webapi';
import type { Now } from '../../core/call.ts';
import type { Log } from '../../core/log.ts';
import type { Credential, CredentialRefusal, Remedy } from '../credential.ts';
import { type Challenge, NO_CHALLENGE, readChallenge } from './challenge.ts';
import { type ClientKey, type OAuthClient, type Registration, register, UNIDENTIFIED } from './client.ts';
import { askForChallenge, discoverResource, discoverServer } from './discovery.ts';
import { newProofKey, type ProofKey, proof } from './dpop.ts';
import { OAuthFault } from './fault.ts';
import { type Unattended, unattended } from './grants.ts';
import type { GuardedHttp } from './guarded-http.ts';
import { type CredentialStore, HELD, type Held, readKept, registrationKey, WANTED, type Wanted } from './kept.ts';
import { type Person, signIn } from './person.ts';
import type { ResourceMetadata } from './resource-metadata.ts';
import { includesAll, OFFLINE, scopesToRequest, union } from './scopes.ts';
import { supportsPkce } from './server-metadata.ts';
import { GRANTS, requestTokens, type TokenRequest, type Tokens } from './tokens.ts';

/** What the operator decided for one upstream. */
export interface OAuthPlan {
  /** Name of the registered server, for the log. */
  readonly name: string;
  /** The MCP endpoint; tokens go nowhere else. */
  readonly endpoint: string;
  /** The only authorization server to be used; null: whichever the upstream's metadata names. */
  readonly issuer: string | null;
  /** Who we are at `issuer`, when it was told to us; null: a metadata document, else registration. */
  readonly client: { readonly id: string; readonly secret: string | null; readonly key: ClientKey | null } | null;
  /** URL of our client metadata document; null: there is none. */
  readonly clientMetadataUrl: string | null;
  /** How we call ourselves at registration. */
  readonly clientName: string;
  /** What is asked for, and the most that ever is; null: what the upstream names. */
  readonly scopes: readonly string[] | null;
  readonly dpop: 'auto' | 'required' | 'off';
  /** Null: authorization code, by a person. */
  readonly unattended: Unattended | null;
}

export interface OAuthPorts {
  readonly http: GuardedHttp;
  readonly store: CredentialStore;
  readonly clock: () => Now;
  readonly log: Log;
  /** Null: nobody is at a browser; whoever has to sign in is told by `sign_in_needed`. */
  readonly person: Person | null;
}

/** After a failure the authorization server is left alone this long: calls that fail must not become a flood there. */
const REST_MS = 5_000;
/** Without a person an upstream that names new scopes with every answer could have tokens made for ever. */
const STEP_UP_REST_MS = 60_000;
const NONE: readonly string[] = [];

/** This gateway's own OAuth credential at one upstream: found out, obtained, kept, renewed and widened. */
export class OAuthCredential implements Credential {
  readonly #plan: OAuthPlan;
  readonly #ports: OAuthPorts;
  #held: Held | null = null;
  #fields: readonly string[] = NONE;
  #loading: Promise<void> | null = null;
  #running: Promise<OAuthFault | null> | null = null;
  #nonce: string | null = null;
  #restUntil = Number.NEGATIVE_INFINITY;
  #stepUpAfter = Number.NEGATIVE_INFINITY;

  constructor(plan: OAuthPlan, ports: OAuthPorts) {
    this.#plan = plan;
    this.#ports = ports;
  }

  headers(method: 'POST' | 'GET' | 'DELETE'): readonly string[] | Promise<readonly string[]> {
    const held = this.#held;
    if (this.#loading === null || (held !== null && this.#ends(held) && this.#canRenew(held)))
      return this.#prepared(method);
    return held?.tokens.proofKey ? this.#proved(held, held.tokens.proofKey, method) : this.#fields;
  }

  async refused(refusal: CredentialRefusal): Promise<Remedy | null> {
    const { status, nonce, tried } = refusal;
    const challenge = readChallenge(refusal.challenge);
    if (status === 401 && nonce !== null && challenge.error === 'use_dpop_nonce' && !tried.has('nonce')) {
      this.#nonce = nonce;
      return 'nonce';
    }
    if (status === 403 && challenge.error !== 'insufficient_scope') return null;
    const remedy = status === 401 ? 'renewed' : 'stepped_up';
    if (tried.has(remedy)) return null;
    // Somebody else had the same token refused and has a newer one by now.
    if (await this.#newer(refusal.presented)) return remedy;
    if (status === 403 && this.#held !== null && includesAll(this.#held.scopes, challenge.scopes ?? [])) {
      // We asked for all of it and did not get it: asking again would only go round in circles.
      return null;
    }
    if (status === 403 && this.#ports.person === null) {
      const { mono } = this.#ports.clock();
      if (mono < this.#stepUpAfter) return null;
      this.#stepUpAfter = mono + STEP_UP_REST_MS;
    }
    const fault = await this.#obtain(challenge, status === 401);
    return fault === null ? remedy : null;
  }

  /**
   * A whole sign-in, whether or not a credential is held. For the person who asked for it.
   * @returns null, or why there is none
   */
  async signIn(): Promise<OAuthFault | null> {
    const challenge = await askForChallenge(this.#ports.http, this.#plan.endpoint);
    if (challenge instanceof OAuthFault) return challenge;
    this.#restUntil = Number.NEGATIVE_INFINITY;
    await this.#load();
    return this.#obtain(readChallenge(challenge), false);
  }

  /** Forgets what is kept of this upstream. The authorization server is not told. */
  async signOut(): Promise<void> {
    const { store } = this.#ports;
    await this.#load();
    const issuer = this.#held?.issuer;
    await Promise.all([HELD, WANTED, ...(issuer ? [registrationKey(issuer)] : [])].map((key) => store.put(key, null)));
    this.#hold(null);
  }

  #ends(held: Held): boolean {
    const { renewAt } = held.tokens;
    return renewAt !== null && renewAt <= this.#ports.clock().utc;
  }

  #canRenew(held: Held): boolean {
    return (
      (held.tokens.refresh !== null || this.#plan.unattended !== null) && this.#ports.clock().mono >= this.#restUntil
    );
  }

  async #prepared(method: string): Promise<readonly string[]> {
    await this.#load();
    const held = this.#held;
    if (held !== null && this.#ends(held) && this.#canRenew(held)) await this.#obtain(NO_CHALLENGE, true);
    const now = this.#held;
    return now?.tokens.proofKey ? this.#proved(now, now.tokens.proofKey, method) : this.#fields;
  }

  async #proved(held: Held, key: ProofKey, method: string): Promise<readonly string[]> {
    const { endpoint } = this.#plan;
    const of = { method, url: endpoint, token: held.tokens.access, nonce: this.#nonce };
    return [...this.#fields, 'dpop', await proof(key, of, this.#ports.clock().utc)];
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().catch((cause: unknown) => {
      this.#loading = null;
      throw cause;
    });
    return this.#loading;
  }

  async #read(): Promise<void> {
    const kept = await readKept<Held>(
      this.#ports.store,
      HELD,
      // A token made for another endpoint, or by an issuer the operator no longer names, is not used any more.
      ({ endpoint, issuer }) =>
        endpoint === this.#plan.endpoint && (this.#plan.issuer === null || issuer === this.#plan.issuer),
    );
    this.#hold(kept);
  }

  #hold(held: Held | null): void {
    this.#held = held;
    this.#nonce = null;
    this.#fields = held
      ? ['authorization', `${held.tokens.type === 'dpop' ? 'DPoP' : 'Bearer'} ${held.tokens.access}`]
      : NONE;
  }

  /** True when the store or another call has a token that is not the refused one. */
  async #newer(presented: string | null): Promise<boolean> {
    await this.#load();
    if (this.#fields[1] === presented || this.#held === null) await this.#read();
    return this.#held !== null && this.#fields[1] !== presented;
  }

  /** One attempt at a time; whoever comes meanwhile shares its outcome. */
  #obtain(challenge: Challenge, renew: boolean): Promise<OAuthFault | null> {
    if (this.#ports.clock().mono < this.#restUntil) return Promise.resolve(new OAuthFault('unreachable', 'resting'));
    this.#running ??= this.#attempt(challenge, renew).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #attempt(challenge: Challenge, renew: boolean): Promise<OAuthFault | null> {
    const { log, clock } = this.#ports;
    const fault = await this.#acquire(challenge, renew);
    if (fault === null) {
      log.info('credential for an upstream obtained', { server: this.#plan.name });
      return null;
    }
    this.#restUntil = clock().mono + REST_MS;
    log.warn('no credential for an upstream', { server: this.#plan.name, code: fault.code, evidence: fault.evidence });
    return fault;
  }

  async #acquire(challenge: Challenge, renew: boolean): Promise<OAuthFault | null> {
    const { http, store, clock, person } = this.#ports;
    const { name: _, endpoint, unattended: grant, ...plan } = this.#plan;
    const resource = await this.#resource(challenge);
    if (resource instanceof OAuthFault) return resource;
    const issuer = plan.issuer ?? resource.authorizationServers[0]!;
    const server = await discoverServer(http, issuer);
    if (server instanceof OAuthFault) return server;
    // What another issuer gave us is nothing here (SEP-2352).
    const held = this.#held?.issuer === issuer ? this.#held : null;
    const scopes = await this.#scopes(challenge, resource, held, server);
    if (scopes instanceof OAuthFault) return scopes;
    const proofKey = this.#proofKey(server, resource, challenge, held);
    if (proofKey instanceof OAuthFault) return proofKey;
    const asked = { resource: resource.resource, scopes };
    const keep = (tokens: Tokens) => this.#keep({ endpoint, issuer, ...asked, tokens });
    const client = await this.#client(server);
    if (client instanceof OAuthFault) return client;
    const request: TokenRequest = { http, server, client, proofKey, utc: clock().utc };

    const refresh = held?.tokens.refresh ?? null;
    if (renew && refresh !== null && held !== null && includesAll(held.scopes, scopes)) {
      const tokens = await requestTokens(request, GRANTS.refresh, {
        refresh_token: refresh,
        resource: asked.resource,
      });
      if (!(tokens instanceof OAuthFault)) return keep(tokens);
      // A server out of reach says nothing of the refresh token; one that refused it does.
      if (tokens.code !== 'token_refused') return tokens;
    }
    if (grant !== null) {
      const tokens = await unattended(grant, request, asked);
      return tokens instanceof OAuthFault ? tokens : keep(tokens);
    }
    if (person === null) {
      await store.put(WANTED, JSON.stringify({ endpoint, scopes } satisfies Wanted));
      return new OAuthFault('sign_in_needed', `run: gatewrit upstream sign-in ${this.#plan.name}`);
    }
    if (!supportsPkce(server))
      return new OAuthFault('pkce_unsupported', 'the authorization server does not say that it checks PKCE (S256)');
    const tokens = await signIn(person, request, asked);
    if (tokens instanceof OAuthFault) return tokens;
    await store.put(WANTED, null);
    return keep(tokens);
  }

  async #keep(held: Held): Promise<null> {
    await this.#ports.store.put(HELD, JSON.stringify(held));
    this.#hold(held);
    return null;
  }

  /** What the upstream says of itself, and that the operator's issuer, if there is one, is among its servers. */
  async #resource(challenge: Challenge): Promise<ResourceMetadata | OAuthFault> {
    const { endpoint, issuer } = this.#plan;
    const found = await discoverResource(this.#ports.http, endpoint, challenge.resourceMetadata);
    if (found instanceof OAuthFault || issuer === null || found.authorizationServers.includes(issuer)) return found;
    return new OAuthFault('issuer_mismatch', 'the upstream does not name the issuer of the settings');
  }

  async #scopes(
    challenge: Challenge,
    resource: ResourceMetadata,
    held: Held | null,
    server: AuthorizationServer,
  ): Promise<readonly string[] | OAuthFault> {
    const { endpoint, scopes: configured, unattended: grant } = this.#plan;
    const wanted = await readKept<Wanted>(this.#ports.store, WANTED, (one) => one.endpoint === endpoint);
    const chosen = scopesToRequest({
      configured,
      challenged: challenge.scopes,
      published: resource.scopesSupported,
      before: held?.scopes ?? (this.#ports.person ? (wanted?.scopes ?? []) : []),
    });
    if (chosen instanceof OAuthFault) return chosen;
    // A refresh token spares the person; a server that does not offer it would refuse the whole request.
    const offline = grant === null && server.scopes_supported?.includes(OFFLINE);
    if (offline) return union(chosen, [OFFLINE]);
    return chosen.filter((scope) => scope !== OFFLINE || server.scopes_supported === undefined);
  }

  /** A key to bind the token to where both sides can and one wants it; null: a bearer token. */
  #proofKey(
    server: AuthorizationServer,
    resource: ResourceMetadata,
    challenge: Challenge,
    held: Held | null,
  ): ProofKey | null | OAuthFault {
    const { dpop } = this.#plan;
    const able = server.dpop_signing_alg_values_supported?.includes('ES256') ?? false;
    const demanded = dpop === 'required' || (dpop === 'auto' && resource.dpopRequired);
    if (demanded && !able) return new OAuthFault('token_unbound', 'the authorization server binds no tokens (DPoP)');
    const before = held?.tokens.proofKey ?? null;
    const wanted = demanded || (dpop === 'auto' && able && (challenge.scheme === 'dpop' || before !== null));
    return wanted ? (before ?? newProofKey()) : null;
  }

  /** Pre-registered, else our metadata document, else a registration made or kept for this very issuer. */
  async #client(server: AuthorizationServer): Promise<OAuthClient | OAuthFault> {
    const { client, clientMetadataUrl, clientName, unattended: grant } = this.#plan;
    const { http, store, clock, person } = this.#ports;
    if (client !== null) return { ...client, method: null };
    if (grant?.kind === 'workload') return UNIDENTIFIED;
    if (clientMetadataUrl !== null && server['client_id_metadata_document_supported'] === true)
      return { id: clientMetadataUrl, secret: null, key: null, method: 'none' };
    const kept = await readKept<Registration>(
      store,
      registrationKey(server.issuer),
      ({ issuer, redirectUri, expiresAt }) =>
        issuer === server.issuer &&
        (person === null || redirectUri === person.redirectUri) &&
        (expiresAt === null || expiresAt > clock().utc),
    );
    if (kept) return clientOf(kept);
    if (grant !== null || person === null)
      return new OAuthFault(
        grant === null ? 'sign_in_needed' : 'no_client',
        grant === null ? `run: gatewrit upstream sign-in ${this.#plan.name}` : 'settings need clientId',
      );
    const made = await register(http, server, person.redirectUri, clientName);
    if (made instanceof OAuthFault) return made;
    await store.put(registrationKey(server.issuer), JSON.stringify(made));
    return clientOf(made);
  }
}

function clientOf({ clientId, clientSecret, method }: Registration): OAuthClient {
  return { id: clientId, secret: clientSecret, key: null, method };
}
