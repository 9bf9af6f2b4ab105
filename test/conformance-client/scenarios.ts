import { paramHeaders } from '../../src/core/mcp/mcp-headers.ts';
import type { LiveDefinitions } from '../../src/upstream/request.ts';
import type { Wish } from './judged-call.ts';

/** What the suite hands a scenario in MCP_CONFORMANCE_CONTEXT. */
export type Context = Readonly<Record<string, unknown>>;

type Named = Readonly<Record<string, unknown>>;

/** What a person who used this server would do in a scenario; most want every tool called once. */
export function wishesOf(scenario: string, context: Context, live: LiveDefinitions): readonly Wish[] {
  // As the registry does: a tool with a malformed x-mcp-header is not served, the others are.
  const tools = live.tools.filter((tool) => typeof paramHeaders(tool['inputSchema']) !== 'string');
  const call = (tool: Named, args: unknown): Wish => ({
    method: 'tools/call',
    name: String(tool['name']),
    arguments: args,
    definition: tool,
  });
  const named = (name: string) => {
    const found = live.tools.find((tool) => tool['name'] === name);
    if (!found) throw new Error(`the server has no tool ${name}`);
    return found;
  };
  switch (scenario) {
    case 'initialize':
      return [];
    case 'tools_call':
      return [call(named('add_numbers'), { a: 5, b: 3 })];
    case 'http-custom-headers':
      return (context['toolCalls'] as { name: string; arguments: unknown }[]).map(({ name, arguments: args }) =>
        call(named(name), args),
      );
    case 'http-invalid-tool-headers':
      return tools.map((tool) => call(tool, { region: 'us-west1' }));
    case 'json-schema-2020-12-preservation':
      return [call(named('json_schema_echo'), { schema: named('json_schema_2020_12_tool')['inputSchema'] })];
    case 'auth/authorization-server-migration':
      // The authorization server changes after the first.
      return [call(named('test-tool'), {}), call(named('test-tool'), {})];
    default:
      return [
        ...tools.map((tool) => call(tool, {})),
        ...live.resources.map(
          (resource): Wish => ({ method: 'resources/read', name: String(resource['uri']), definition: resource }),
        ),
        ...live.prompts.map(
          (prompt): Wish => ({
            method: 'prompts/get',
            name: String(prompt['name']),
            arguments: {},
            definition: prompt,
          }),
        ),
      ];
  }
}

/** Scenarios in which a client that goes on has failed, and the word by which this one has to stop. */
export const MUST_REFUSE: Readonly<Record<string, string>> = {
  'auth/resource-mismatch': 'resource_mismatch',
  'auth/iss-supported-missing': 'callback',
  'auth/iss-wrong-issuer': 'callback',
  'auth/iss-unexpected': 'callback',
  'auth/iss-normalized': 'callback',
  'auth/metadata-issuer-mismatch': 'issuer_mismatch',
  'auth/scope-retry-limit': 'HTTP 403',
};

/** What a person at a form would answer who only presses the button: the default of each field, or a first value. */
export function acceptedForm(params: Readonly<Record<string, unknown>>): object {
  const schema = params['requestedSchema'] as { properties?: Record<string, Record<string, unknown>> } | undefined;
  const content = Object.entries(schema?.properties ?? {}).map(([name, field]) => [
    name,
    field['default'] ?? (field['type'] === 'boolean' ? true : field['type'] === 'string' ? 'x' : 1),
  ]);
  return { action: 'accept', content: Object.fromEntries(content) };
}
