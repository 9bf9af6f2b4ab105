/** The one tool of the bench's upstream, as it is reviewed, pinned and served. */
export const TOOL = {
  name: 'echo',
  title: 'Echo',
  description: 'Answers with what it was given.',
  inputSchema: {
    type: 'object',
    properties: {
      nonce: { type: 'string', maxLength: 64 },
      count: { type: 'integer', minimum: 0 },
      text: { type: 'string', maxLength: 10_000 },
    },
    required: ['nonce', 'count', 'text'],
    additionalProperties: false,
  },
} as const;

export const SERVER = 'bench';
export const SCOPE = 'bench:echo';
/** Name of the tool on `/mcp`. The upstream does not look at it, so every system can be sent the same bytes. */
export const EXPOSED = `${SERVER}__${TOOL.name}`;

const NOTE = 'Made for the bench on this machine: its upstream is in bench/systems/upstream.ts.';

/** What the bench's own operator key signs. No bound of the item is ever met: refusals would spoil the measurement. */
export const MANIFEST = {
  format: 1,
  server: SERVER,
  prefix: SERVER,
  title: 'Upstream of the bench',
  version: '1',
  owner: 'Gatewrit bench',
  review: { by: 'Gatewrit bench', at: '2026-11-22T00:00:00Z', note: NOTE, accepted: [] },
  tools: [{ exposed: EXPOSED, scopes: [SCOPE], effect: 'read', limits: { maxConcurrent: 10_000 }, definition: TOOL }],
  prompts: [],
  resources: [],
  templates: [],
};
