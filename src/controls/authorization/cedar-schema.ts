/**
 * What a rule may speak about. Every rule is checked against this when the policy is loaded, so a misspelt attribute
 * or an optional argument read without `has` stops the start instead of refusing calls.
 * @param argumentsType Cedar type of `context.arguments`, inferred per rule (argument-types.ts)
 */
export function cedarSchema(argumentsType: string): string {
  return `
entity Group;
entity Server;
type Actor = { issuer: String, subject: String };
entity Principal in [Group] = {
  subject: String,
  issuer: String,
  client: String,
  tenant: String,
  groups: Set<String>,
  scopes: Set<String>,
  proof: String,
  actors: Set<Actor>,
};
entity Target in [Server] = {
  server: String,
  name: String,
  key: String,
  kind: String,
  effect: String,
  scopes: Set<String>,
  tenant: String,
};
action "call_tool", "get_prompt", "read_resource", "admin" appliesTo {
  principal: [Principal],
  resource: [Target],
  context: { now: datetime, arguments: ${argumentsType} },
};
`;
}

/** Types of the attributes above, for inferring the type of an argument that is compared with one. */
export const ATTRIBUTE_TYPES: ReadonlyMap<string, string> = new Map([
  ['principal.groups', 'Set<String>'],
  ['principal.scopes', 'Set<String>'],
  ['principal.actors', 'Set<Actor>'],
  ['resource.scopes', 'Set<String>'],
  ['context.now', 'datetime'],
  ...['subject', 'issuer', 'client', 'tenant', 'proof'].map((name) => [`principal.${name}`, 'String'] as const),
  ...['server', 'name', 'key', 'kind', 'effect', 'tenant'].map((name) => [`resource.${name}`, 'String'] as const),
]);
