import { request } from 'undici';
import { MAX_ISSUES, type Tracker } from './tracker.ts';

/** Jira Cloud, REST API version 3. Errors carry Jira's own text; the gateway takes diagnostics out. */
export function openJiraCloud({ url, email, token, project }: { url: string; email: string; token: string; project: string }): Tracker {
  const authorization = `Basic ${Buffer.from(`${email}:${token}`).toString('base64')}`;
  const send = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await request(new URL(path, url), {
      method: 'POST',
      headers: { authorization, accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(body),
      headersTimeout: 10_000,
      bodyTimeout: 10_000,
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`Jira answered ${answer.statusCode}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  return {
    async search(jql) {
      const { issues } = await send('/rest/api/3/search/jql', { jql, maxResults: MAX_ISSUES, fields: ['summary', 'status'] });
      return (issues as { key: string; fields: { summary: string; status: { name: string } } }[]).map(({ key, fields }) => ({ key, title: fields.summary, status: fields.status.name }));
    },
    async create({ title, description }) {
      const text = { type: 'doc', version: 1, content: [{ type: 'paragraph', content: [{ type: 'text', text: description || title }] }] };
      const { key } = await send('/rest/api/3/issue', { fields: { project: { key: project }, summary: title, description: text, issuetype: { name: 'Task' } } });
      return { key: String(key) };
    },
  };
}
