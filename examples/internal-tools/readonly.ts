import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { openDatabase } from './database/database.ts';
import { openObjects } from './objects/objects.ts';
import { failed, succeeded } from './outcome.ts';
import { openTracker } from './tracker/tracker.ts';

/** Server `internal-readonly`: three tools that look and never change anything. */
const database = openDatabase();
const objects = openObjects();
const tracker = openTracker();

serveStdio(() => {
  const server = new McpServer({ name: 'internal-readonly', version: '1.0.0' });

  server.registerTool(
    'postgres_query',
    {
      title: 'Query the company database',
      description:
        'Runs one SQL query in a read-only transaction and answers with its rows. Tables: customers, orders.',
      inputSchema: z.strictObject({ sql: z.string().min(1).max(10_000).describe('One SELECT statement') }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ sql }) => {
      try {
        return succeeded(await database.query(sql));
      } catch (error) {
        return failed(error);
      }
    },
  );

  server.registerTool(
    's3_list',
    {
      title: 'List stored objects',
      description: 'Lists objects of the configured bucket by key prefix: key, size and time of the last change.',
      inputSchema: z.strictObject({
        prefix: z.string().max(512).optional().describe('Only keys that begin with this'),
      }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ prefix }) => {
      try {
        return succeeded(await objects.list(prefix ?? ''));
      } catch (error) {
        return failed(error);
      }
    },
  );

  server.registerTool(
    'jira_search',
    {
      title: 'Search issues',
      description: 'Searches the issue tracker; against the embedded tracker the text is matched as a substring.',
      inputSchema: z.strictObject({ jql: z.string().min(1).max(2_000).describe('JQL, or plain text') }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ jql }) => {
      try {
        return succeeded({ issues: await tracker.search(jql) });
      } catch (error) {
        return failed(error);
      }
    },
  );

  return server;
});
