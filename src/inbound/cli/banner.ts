import type { Ready } from './ready.ts';

/** What a person sees when the gateway is ready: where it is, how to connect a client, what to try next. */
export function banner(ready: Ready, { home, withheld }: { home: string; withheld: readonly { server: string; name: string | null; text: string }[] }): string {
  const homeFlag = home.endsWith('/.gatewrit') ? [] : ['--home', home];
  const entry = { command: 'npx', args: ['--prefix', process.cwd(), 'gatewrit', 'stdio', ...homeFlag] };
  const held = withheld.map(({ server, name, text }) => `  ${server}${name ? `/${name}` : ''}: ${text}`);
  return `
Gatewrit is ready.

  MCP      ${ready.mcp}   (all servers; ${ready.mcp}/SERVER for one)
  Console  ${ready.admin}/console
  Issuer   ${ready.issuer || 'as configured'}

Connect a client that starts programs (it gets and renews its own token):

  ${JSON.stringify({ mcpServers: { gatewrit: entry } }, null, 2).split('\n').join('\n  ')}

Connect a client that takes a URL: ${ready.mcp}
  export NODE_EXTRA_CA_CERTS=${ready.ca}
A browser warns about ${ready.admin} because the certificate comes from this gateway's own development authority.
${held.length > 0 ? `\nWithheld until reviewed (gatewrit registry list):\n${held.join('\n')}\n` : ''}
Next, in another terminal: npm run tour
Stop with Ctrl-C.
`;
}
