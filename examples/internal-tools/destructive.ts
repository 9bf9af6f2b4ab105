import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { failed, succeeded } from './outcome.ts';
import { openTracker } from './tracker/tracker.ts';

/** Server `internal-destructive`: the tool that changes something, so that a person must say yes to each call. */
const tracker = openTracker();

serveStdio(() => {
  const server = new McpServer({ name: 'internal-destructive', version: '1.0.0' });

  server.registerTool(
    'jira_create',
    {
      title: 'Create an issue',
      description: 'Creates an issue in the tracker and answers with its key, like PROJ-1.',
      inputSchema: z.strictObject({
        title: z.string().min(1).max(255).describe('Summary of the issue'),
        description: z.string().max(10_000).optional().describe('Body of the issue'),
      }),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
    },
    async ({ title, description }) => {
      try {
        return succeeded(await tracker.create({ title, description: description ?? '' }));
      } catch (error) {
        return failed(error);
      }
    },
  );

  return server;
});
