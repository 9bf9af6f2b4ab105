import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Agent, request } from 'undici';
import { handle } from '../../src/core/ids.ts';
import { debian, lastLines, skipped } from './install.ts';
import { freePort, RunningServer } from './running.ts';

const VERSION = '26.0.7';
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`;
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
const FETCH_MS = 300_000;
const START_MS = 300_000;

const cache = join(homedir(), '.cache/gatewrit-services', `keycloak-${VERSION}`);
const folder = join(cache, `keycloak-${VERSION}`);

/** Gets the distribution through Maven, once: `null` when it is there, or the reason why it cannot be had, said loudly. */
export function keycloakDistribution(): string | null {
  const java = debian('java', 'default-jre-headless');
  if (java !== null || existsSync(folder)) return java;
  const tools = debian('mvn', 'maven') ?? debian('unzip', 'unzip');
  if (tools !== null) return tools;
  const unpacked = join(cache, 'unpacking');
  mkdirSync(unpacked, { recursive: true, mode: 0o700 });
  try {
    const run = (command: string, ...args: string[]) =>
      execFileSync(command, args, { timeout: FETCH_MS, stdio: 'pipe' });
    run('mvn', '-q', '-B', '-ntp', COPY, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${cache}`);
    run('unzip', '-qo', join(cache, `keycloak-quarkus-dist-${VERSION}.zip`), '-d', unpacked);
    renameSync(join(unpacked, `keycloak-${VERSION}`), folder);
  } catch (error) {
    return skipped(ARTIFACT, lastLines(error));
  }
  return null;
}

/** A real Keycloak with our realm, on https://localhost, without a database of its own: gone when it ends. */
export class Keycloak {
  readonly issuer: string;
  readonly #server: RunningServer;
  readonly #password: string;
  readonly #agent: Agent;

  private constructor(issuer: string, server: RunningServer, password: string, agent: Agent) {
    this.issuer = issuer;
    this.#server = server;
    this.#password = password;
    this.#agent = agent;
  }

  /** @param tls paths of PEM files for localhost; `agent` trusts their authority */
  static async start(options: {
    tls: { cert: string; key: string };
    agent: Agent;
    resource: string;
  }): Promise<Keycloak> {
    const { tls, agent, resource } = options;
    const [https, http, management] = [await freePort(), await freePort(), await freePort()];
    const url = `https://localhost:${https}`;
    const password = handle();
    const server = new RunningServer(
      join(folder, 'bin/kc.sh'),
      [
        'start-dev',
        '--db=dev-mem',
        '--http-host=127.0.0.1',
        `--http-port=${http}`,
        `--https-port=${https}`,
        `--http-management-port=${management}`,
        `--https-certificate-file=${tls.cert}`,
        `--https-certificate-key-file=${tls.key}`,
        `--hostname=${url}`,
      ],
      { env: { ...process.env, KC_BOOTSTRAP_ADMIN_USERNAME: 'root', KC_BOOTSTRAP_ADMIN_PASSWORD: password } },
    );
    const keycloak = new Keycloak(`${url}/realms/staff`, server, password, agent);
    try {
      await server.until(async () => {
        const { statusCode, body } = await request(`${url}/realms/master`, { dispatcher: agent });
        await body.dump();
        if (statusCode !== 200) throw new Error(`status ${statusCode}`);
      }, START_MS);
      await keycloak.#importRealm(url, resource);
    } catch (cause) {
      await keycloak.stop();
      throw cause;
    }
    return keycloak;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #importRealm(url: string, resource: string): Promise<void> {
    const token = await request(`${url}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: 'admin-cli',
        username: 'root',
        password: this.#password,
      }).toString(),
    });
    const { access_token: admin } = (await token.body.json()) as { access_token: string };
    const realm = readFileSync(join(import.meta.dirname, 'keycloak-realm.json'), 'utf8')
      .replaceAll('{resource}', resource)
      .replaceAll('{password}', this.#password);
    const made = await request(`${url}/admin/realms`, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
      body: realm,
    });
    const said = await made.body.text();
    if (made.statusCode !== 201) throw new Error(`the realm was not imported: ${made.statusCode} ${said}`);
  }

  /** Signs in as a person would: opens the page, fills in its form, and follows it back. Resolves with the callback. */
  async signIn(authorization: URL, username: string): Promise<URL> {
    const page = await request(authorization, { dispatcher: this.#agent });
    const html = await page.body.text();
    const action = /<form[^>]*\baction="([^"]+)"/.exec(html)?.[1]?.replaceAll('&amp;', '&');
    if (action === undefined) throw new Error(`no form to sign in: ${page.statusCode} ${html.slice(0, 500)}`);
    const cookies = [page.headers['set-cookie'] ?? []].flat().map((cookie) => cookie.split(';')[0]);
    const sent = await request(action, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { 'content-type': 'application/x-www-form-urlencoded', cookie: cookies.join('; ') },
      body: new URLSearchParams({ username, password: this.#password, credentialId: '' }).toString(),
    });
    const answered = await sent.body.text();
    const { location } = sent.headers;
    if (typeof location !== 'string') throw new Error(`not signed in: ${sent.statusCode} ${answered.slice(0, 500)}`);
    return new URL(location);
  }
}
