import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Document, isMap, parseDocument } from 'yaml';
import { type Configuration, configurationOf } from '../../configuration.ts';
import { readCatalogue, readPolicyFolder, writeDefaultPolicy } from '../../controls/authorization/index.ts';
import { readManifest, signManifest, writeWhole } from '../../controls/registry/index.ts';
import type { Effect } from '../../core/call.ts';
import { openSigningKeys } from '../../core/crypto/keys.ts';
import { SettingsError } from '../../core/internal-error.ts';

/** What stands in a gatewrit.yaml nobody wrote yet. */
const NEW_CONFIGURATION = `# Settings of this gateway. Every section and key: docs/reference/settings.md. What they come to: gatewrit check

listen:
  public: { port: 8443 } # agents: POST /mcp and /mcp/{server}
  admin: { port: 8444 } # people: console and admin API

authentication:
  development: true # embedded issuer, this machine only; shown as weak. In production: issuers of yours

# The servers behind the gateway. Each needs a signed manifest too: gatewrit registry add NAME
upstreams: {}
`;

/** A configuration file and its text, so that a change keeps every comment of its owner. */
export interface OpenConfiguration {
  readonly file: string;
  /** It did not exist. */
  readonly isNew: boolean;
  readonly document: Document;
  read(): Configuration;
}

/**
 * Opens gatewrit.yaml for a change, or begins a new one. Writes nothing.
 * @throws SettingsError when it is there and cannot be read
 */
export function openConfiguration(file: string): OpenConfiguration {
  const isNew = !existsSync(file);
  const document = parseDocument(isNew ? NEW_CONFIGURATION : readFileSync(file, 'utf8'));
  const [fault] = document.errors;
  if (fault) throw new SettingsError(`${file} is not valid YAML: ${fault.message.split('\n')[0]}`, fault);
  return { file, isNew, document, read: () => configurationOf(document.toJS() ?? {}, dirname(resolve(file))) };
}

/** Puts an upstream into the document, not yet into the file. */
export function setUpstream({ document }: OpenConfiguration, name: string, upstream: object): void {
  const node = document.createNode(upstream);
  if (isMap(document.get('upstreams'))) {
    const list = document.get('upstreams') as { flow?: boolean; items: unknown[] };
    if (list.items.length === 0) list.flow = false;
  } else document.set('upstreams', document.createNode({}));
  document.setIn(['upstreams', name], node);
}

/** @throws SettingsError when what would be written is no good configuration */
export function saveConfiguration(open: OpenConfiguration): void {
  open.read();
  mkdirSync(dirname(resolve(open.file)), { recursive: true });
  writeKept(open.file, open.document.toString({ lineWidth: 0 }));
}

/** Whole or not at all, under the mode that a new file of the owner has. */
function writeKept(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

const RISK: Readonly<Record<Effect, string>> = { read: 'low', write: 'medium', destructive: 'high' };
const RULE = 'use-with-every-scope';

/**
 * Makes the scopes of a server known to policy, and opens it to whoever holds them where no rule does so yet.
 * @returns the files that were written
 * @throws SettingsError when scopes.yaml cannot be read, or a scope is none
 */
export async function addToPolicy(
  home: string,
  of: { server: string; items: readonly { readonly scopes: readonly string[]; readonly effect: Effect }[] },
): Promise<string[]> {
  const folder = join(home, 'policy');
  const written = new Set((await writeDefaultPolicy(folder, { quickstart: false })).map((file) => join(folder, file)));
  const { scopes, cedar } = await readPolicyFolder(folder);
  const file = join(folder, 'scopes.yaml');
  const document = parseDocument(scopes ?? 'format: 1\nscopes: {}\n', { stringKeys: true });
  const known = new Set(scopes === null ? [] : readCatalogue(scopes).scopes.keys());
  for (const { effect, scopes: wanted } of of.items) {
    for (const scope of wanted.filter((one) => !known.has(one))) {
      known.add(scope);
      const title = `${{ read: 'Read with', write: 'Change with', destructive: 'Destroy with' }[effect]} ${of.server}`;
      const description = `Use what ${of.server} offers and was reviewed as ${effect}.`;
      document.setIn(['scopes', scope], document.createNode({ title, description, risk: RISK[effect] }));
      written.add(file);
    }
  }
  const text = document.toString({ lineWidth: 0 });
  readCatalogue(text);
  if (written.has(file)) writeWhole(file, text);
  const rule = join(folder, `50-${of.server}.cedar`);
  const opened = cedar.some(({ text }) => new RegExp(`^\\s*@id\\("${RULE}"\\)`, 'm').test(text));
  if (!opened && !existsSync(rule)) {
    writeWhole(rule, ruleOf(of.server));
    written.add(rule);
  }
  return [...written];
}

function ruleOf(server: string): string {
  return `// Who may use ${server}: whoever holds every scope the operation names. A forbid always wins.

@id("use-${server}")
@description("Every scope the operation names is needed.")
permit (
  principal,
  action in [Action::"call_tool", Action::"get_prompt", Action::"read_resource"],
  resource in Server::"${server}"
)
when { !resource.scopes.isEmpty() && principal.scopes.containsAll(resource.scopes) };
`;
}

/**
 * Signs a reviewed manifest with the operator's key and puts it where the gateway reads it.
 * @returns the file
 * @throws SettingsError when there is no key outside development, or the manifest is none
 */
export async function signAndPin(manifest: object, of: { home: string; development: boolean }): Promise<string> {
  const read = readManifest(Buffer.from(JSON.stringify(manifest)));
  if ('faults' in read) throw new SettingsError(read.faults.map(({ text }) => text).join('\n'));
  const keys = { folder: join(of.home, 'keys'), generate: of.development };
  const token = await signManifest(read.raw, openSigningKeys(keys, 'operator')[0]);
  mkdirSync(join(of.home, 'registry'), { recursive: true, mode: 0o700 });
  const file = join(of.home, 'registry', `${read.manifest.server}.jws`);
  writeWhole(file, `${token}\n`);
  return file;
}
