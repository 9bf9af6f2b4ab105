import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SCOPES_FILE } from './catalogue.ts';

export interface DefaultPolicyOptions {
  /** With the scopes of the bundled servers and the rules that open them; otherwise only administration is open. */
  readonly quickstart: boolean;
}

/**
 * Writes commented files into a policy folder that holds no policy yet. Once there is any rule or catalogue, the
 * folder belongs to its owner and nothing is added: a rule file somebody took away must not come back.
 * @returns names of the files written
 */
export async function writeDefaultPolicy(folder: string, options: DefaultPolicyOptions): Promise<string[]> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const there = await readdir(folder);
  if (there.some((file) => file === SCOPES_FILE || file.endsWith('.cedar'))) return [];
  const files: [string, string][] = [
    ['10-use.cedar', options.quickstart ? USE : commentedOut(USE)],
    ['20-approval.cedar', APPROVAL],
    ['30-administration.cedar', ADMINISTRATION],
    // Last: rules without a catalogue open nothing, should this be cut short.
    [SCOPES_FILE, options.quickstart ? ADMIN_SCOPES + QUICKSTART_SCOPES : ADMIN_SCOPES],
  ];
  for (const [file, text] of files) await writeFile(join(folder, file), text, { flag: 'wx', mode: 0o600 });
  return files.map(([file]) => file);
}

const commentedOut = (rules: string) => rules.replace(/^(?!\/\/|$)/gm, '// ');

const ADMIN_SCOPES = `# The catalogue of scopes: the only ones an operation may name or a rule may ask for.
# A scope is domain:resource or domain:resource:action, compared whole. "jira" or "jira:*" means nothing.
# After a change: gatewrit policy lint
format: 1
scopes:
  gatewrit:approvals:read:
    title: See approvals
    description: List and show calls that wait for a person.
    risk: medium
  gatewrit:approvals:decide:
    title: Decide approvals
    description: Approve or deny calls of others. Nobody decides on his own.
    risk: high
  gatewrit:audit:erase:
    title: Erase a subject
    description: Delete the key of one person's calls for good; the record of what was done stays.
    risk: high
`;

const QUICKSTART_SCOPES = `  postgres:query:readonly:
    title: Query the database
    description: Run one SELECT in a read-only transaction, with caps on rows, bytes and time.
    risk: medium
  s3:list:
    title: List objects
    description: List names and sizes of objects. Contents are not readable.
    risk: low
  jira:read:
    title: Search issues
    description: Search issues of the tracker.
    risk: low
  jira:write:
    title: Create issues
    description: Create issues of the tracker. Each call needs an approval.
    risk: high
  everything:use:
    title: Use the demonstration server
    description: Call tools, prompts and resources of @modelcontextprotocol/server-everything.
    risk: low
`;

const USE = `// Who may use tools, prompts and resources: whoever holds every scope the operation names.
// Nothing is allowed that no permit allows, and a forbid always wins.

@id("use-with-every-scope")
@description("Every scope the operation names is needed.")
permit (
  principal,
  action in [Action::"call_tool", Action::"get_prompt", Action::"read_resource"],
  resource
)
when { !resource.scopes.isEmpty() && principal.scopes.containsAll(resource.scopes) };

// A rule about arguments, to copy. "has" comes first: an argument may be left out.
//
// @id("lists-stay-public")
// @public("Only prefixes under public/ may be listed.")
// @path("/prefix")
// forbid (principal, action == Action::"call_tool", resource == Target::"internal-readonly/s3_list")
// unless {
//   context.arguments has prefix &&
//   context.arguments.prefix like "public/*" &&
//   !(context.arguments.prefix like "*..*")
// };
`;

const APPROVAL = `// What must happen besides. A rule with @obligation grants nothing: it is asked after a permit allowed the call.
// @rule names the approval rule that says who may approve.

@id("destructive-needs-approval")
@description("A person approves every destructive call.")
@obligation("approval")
@rule("destructive")
permit (principal, action == Action::"call_tool", resource)
when { resource.effect == "destructive" };
`;

const ADMINISTRATION = `// Who may operate the gateway itself (server "gatewrit").

@id("administration-with-every-scope")
@description("Every scope the operation names is needed.")
permit (principal, action == Action::"admin", resource in Server::"gatewrit")
when { !resource.scopes.isEmpty() && principal.scopes.containsAll(resource.scopes) };

@id("approvers-approve")
@description("Members of approvers see and decide approvals, and nothing else.")
permit (principal in Group::"approvers", action == Action::"admin", resource in Server::"gatewrit")
when {
  !resource.scopes.isEmpty() &&
  ["gatewrit:approvals:read", "gatewrit:approvals:decide"].containsAll(resource.scopes)
};
`;
