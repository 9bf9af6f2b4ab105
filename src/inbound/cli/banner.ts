import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ready } from './ready.ts';

/** In a checkout people have npm scripts, installed they have the command itself. */
const CHECKOUT = import.meta.url.endsWith('.ts');
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BIN = join(ROOT, 'bin', 'gatewrit.mjs');

interface Withheld {
  readonly server: string;
  readonly name: string | null;
  readonly text: string;
}

/** What a person sees when the gateway is ready: where it is, how to connect a client, what to try next. */
export function banner(ready: Ready, of: { home: string; withheld: readonly Withheld[] }): string {
  const parts = [places(ready), clientThatStartsPrograms(of.home), clientThatTakesAUrl(ready, of.home)];
  if (of.withheld.length > 0) parts.push(withheldUntilReviewed(of.withheld));
  parts.push(`${inCheckout() ? 'Next, in another terminal: npm run tour\n' : ''}Stop with Ctrl-C.`);
  return `\n${parts.join('\n\n')}\n\n`;
}

/** npm finds its scripts from the folder of the checkout alone. */
const inCheckout = () => CHECKOUT && process.cwd() === resolve(ROOT);

/** How the command is called from this folder. */
function ourselves(): string {
  if (inCheckout()) return 'npm run --silent gatewrit --';
  return CHECKOUT ? `node ${inShell(join(ROOT, 'bootstrap.mjs'))} gatewrit` : 'gatewrit';
}

function places({ mcp, admin, issuer }: Ready): string {
  return `Gatewrit is ready${issuer ? ', in development mode: for this machine only' : ''}.

  MCP      ${mcp}
           one server alone: ${mcp}/NAME
  Console  ${admin}/console
  Issuer   ${issuer || 'as configured'}`;
}

/** Absolute paths only, so that it runs from any folder and without a Node in the PATH. */
export function stdioEntry(home: string): { command: string; args: string[] } {
  return { command: process.execPath, args: [BIN, 'stdio', '--home', home] };
}

function clientThatStartsPrograms(home: string): string {
  const { command, args } = stdioEntry(home);
  return `Connect a client that starts programs. The entry gets and renews its own token:

{
  "mcpServers": {
    "gatewrit": {
      "command": ${JSON.stringify(command)},
      "args": [
        ${args.map((arg) => JSON.stringify(arg)).join(',\n        ')}
      ]
    }
  }
}`;
}

function clientThatTakesAUrl({ mcp, ca, issuer, scopes }: Ready, home: string): string {
  const at = home === join(process.cwd(), '.gatewrit') ? '' : ` --home ${inShell(home)}`;
  const trust = ca
    ? `
  trust  export NODE_EXTRA_CA_CERTS=${inShell(ca)}`
    : '';
  const token = issuer
    ? `
  token  ${ourselves()} token --sub alice --scope "${harmless(scopes)}"${at}`
    : '';
  const why = ca
    ? `
A browser warns at the console: this gateway made its certificate itself.`
    : '';
  return `Connect a client that takes a URL:

  URL    ${mcp}${token}${trust}
${why}`.trimEnd();
}

/** A scope of this gateway's own catalogue that only reads; '' when no server is behind it yet. */
function harmless(scopes: readonly string[]): string {
  const ofTools = scopes.filter((scope) => !scope.startsWith('gatewrit:'));
  return ofTools.find((scope) => scope.endsWith(':read')) ?? ofTools[0] ?? '';
}

const inShell = (path: string) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

function withheldUntilReviewed(withheld: readonly Withheld[]): string {
  const lines = withheld.map(({ server, name, text }) => `  ${server}${name ? `/${name}` : ''}: ${text}`);
  return `Withheld until a person has reviewed it (gatewrit registry list):\n\n${lines.join('\n')}`;
}
