import type { AuthorizationServer } from 'oauth4webapi';
import { faultIn, OAuthFault } from './fault.ts';
import { type GuardedHttp, placeOf } from './guarded-http.ts';
import { judgeResourceMetadata, type ResourceMetadata, resourceMetadataUrls } from './resource-metadata.ts';
import { judgeServerMetadata, serverMetadataUrls } from './server-metadata.ts';

/**
 * Protected-resource metadata of an MCP endpoint.
 * @param named URL the challenge named; then no other place is asked
 */
export async function discoverResource(
  http: GuardedHttp,
  endpoint: string,
  named: string | null,
): Promise<ResourceMetadata | OAuthFault> {
  const found = await firstDocument(http, resourceMetadataUrls(endpoint, named));
  return found instanceof OAuthFault ? found : judgeResourceMetadata(found, endpoint);
}

/** Metadata of an authorization server, named by its issuer. */
export async function discoverServer(http: GuardedHttp, issuer: string): Promise<AuthorizationServer | OAuthFault> {
  const found = await firstDocument(http, serverMetadataUrls(issuer));
  return found instanceof OAuthFault ? found : judgeServerMetadata(found, issuer);
}

/** The first document there is. What is there is judged, and never passed over for the next place because it is wrong. */
async function firstDocument(http: GuardedHttp, urls: readonly string[]): Promise<unknown> {
  for (const url of urls) {
    const answer = await http.getJson(url);
    if (answer instanceof OAuthFault) return answer;
    if (answer.status === 200) return answer.json;
    if (answer.status < 400 || answer.status >= 500)
      return new OAuthFault('unreachable', `${placeOf(url)} answers HTTP ${answer.status}`);
  }
  return new OAuthFault('metadata', `there is no metadata at ${urls.map(placeOf).join(', ')}`);
}

const PROBE = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'server/discover', params: {} });

/** What an MCP endpoint says to a request without a credential: its `WWW-Authenticate`, or null when there is none. */
export async function askForChallenge(http: GuardedHttp, endpoint: string): Promise<string | null | OAuthFault> {
  try {
    const headers = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
    const answer = await http.fetch(endpoint, { method: 'POST', headers, body: PROBE });
    return answer.headers.get('www-authenticate');
  } catch (error) {
    return faultIn(error) ?? new OAuthFault('unreachable', `${placeOf(endpoint)} cannot be asked`);
  }
}
