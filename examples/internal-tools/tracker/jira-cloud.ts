import { Agent, request } from 'undici';
import { MAX_ISSUES, type Tracker } from './tracker.ts';

interface JiraCloud {
  /** `https://your-site.atlassian.net`, or `https://api.atlassian.com/ex/jira/<cloud id>` for a token with scopes. */
  readonly url: string;
  readonly email: string;
  readonly token: string;
  readonly project: string;
}

interface FoundIssue {
  readonly key: string;
  /** Without a field the account may not see. */
  readonly fields?: { readonly summary?: string; readonly status?: { readonly name?: string } };
}

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Jira Cloud, REST API version 3. Errors carry Jira's own text; the gateway takes diagnostics out. */
export function openJiraCloud({ url, email, token, project }: JiraCloud): Tracker {
  const base = url.endsWith('/') ? url : `${url}/`;
  // The token goes with every request: never in clear.
  if (new URL(base).protocol !== 'https:') throw new Error('JIRA_URL must begin with https://');
  const authorization = `Basic ${Buffer.from(`${email}:${token}`).toString('base64')}`;
  const dispatcher = new Agent({ maxResponseSize: MAX_ANSWER_BYTES, connect: { timeout: TIMEOUT_MS } });

  const send = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await request(new URL(path, base), {
      method: 'POST',
      dispatcher,
      headers: { authorization, accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(body),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    const text = await answer.body.text();
    // Redirects are not followed: the token would go along.
    if (answer.statusCode >= 300) throw new Error(`Jira answered ${answer.statusCode}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as Record<string, unknown>;
  };

  return {
    async search(jql) {
      const fields = ['summary', 'status'];
      const { issues } = await send('rest/api/3/search/jql', { jql, maxResults: MAX_ISSUES, fields });
      return ((issues ?? []) as FoundIssue[]).map(({ key, fields: found }) => ({
        key,
        title: found?.summary ?? '',
        status: found?.status?.name ?? '',
      }));
    },
    async create({ title, description }) {
      const fields = {
        project: { key: project },
        summary: title,
        issuetype: { name: 'Task' },
        ...(description === '' ? {} : { description: documentOf(description) }),
      };
      const { key } = await send('rest/api/3/issue', { fields });
      return { key: String(key) };
    },
  };
}

/** Plain text in Atlassian Document Format: a paragraph a line; a text node must not be empty. */
function documentOf(text: string): object {
  const content = text.split(/\r?\n/).map((line) => ({
    type: 'paragraph',
    content: line === '' ? [] : [{ type: 'text', text: line }],
  }));
  return { type: 'doc', version: 1, content };
}
