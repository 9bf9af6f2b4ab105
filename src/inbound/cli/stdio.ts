import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { InternalError } from '../../core/internal-error.ts';
import {
  CERTIFICATE_USAGE,
  certificateFiles,
  certificateOptions,
  readClientCertificate,
} from '../client-certificate.ts';
import { runStdioEntry } from '../stdio/entry.ts';
import { authorizationCodeTokens, developmentTokens } from '../stdio/token-source.ts';
import type { Command } from './command.ts';
import { readReady } from './ready.ts';

const usage = `usage: gatewrit stdio [--home D] [--server NAME] [--as PERSON] [--scope "S …"]
       gatewrit stdio --url https://host/mcp [--client-id URL] [--ca FILE]

Speaks MCP over stdin and stdout to a running gateway. Beside a development gateway it makes its own short-lived
token for PERSON (default bob); with --url it signs in with code + PKCE in your browser and renews by itself.

  --home D        home of the running development gateway (default .gatewrit)
  --server NAME   only this server, under its original tool names
  --as PERSON     development person (default bob)
  --scope "S …"   scopes to ask for (default: every scope of the catalogue that reads or writes tools)
  --url URL       a gateway elsewhere
  --client-id URL client id metadata document or registered client id, with --url
  --ca FILE       PEM of the authority behind --url, when it is not a public one
${CERTIFICATE_USAGE}
Example: gatewrit stdio --home .gatewrit --as bob
`;

export const stdioCommand: Command = {
  name: 'stdio',
  summary: 'speak MCP over stdio to a running gateway, with a token of its own',
  usage,
  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        home: { type: 'string', default: '.gatewrit' },
        server: { type: 'string' },
        as: { type: 'string', default: 'bob' },
        scope: { type: 'string' },
        url: { type: 'string' },
        'client-id': { type: 'string' },
        ca: { type: 'string' },
        ...certificateOptions,
      },
    });
    const files = certificateFiles(values, process.env);
    if (typeof files === 'string') {
      io.stderr(`gatewrit stdio: ${files}\n`);
      return 2;
    }
    const certificate = readClientCertificate(files, { utc: Date.now() });
    const onDiagnostic = (line: string) => io.stderr(`gatewrit: ${line}\n`);
    const shared = { certificate, input: process.stdin, output: process.stdout, onDiagnostic };
    if (values.url !== undefined) {
      if (URL.parse(values.url)?.protocol !== 'https:') {
        io.stderr('gatewrit stdio: --url takes the https URL of a gateway. Add --help to see what it takes.\n');
        return 2;
      }
      const ca = values.ca ? readFileSync(values.ca, 'utf8') : undefined;
      const tokens = await authorizationCodeTokens({
        resource: values.url,
        clientId: values['client-id'],
        ca,
        certificate,
        onUrl: (url) => io.stderr(`gatewrit: sign in at ${url}\n`),
      });
      await runStdioEntry({ url: values.url, ...(ca ? { ca } : {}), tokens, ...shared });
      return 0;
    }
    const ready = readReady(values.home);
    if (!ready)
      throw new InternalError(
        'stdio.no_gateway',
        `no gateway runs with home ${values.home}; start one with: gatewrit start --home ${values.home}`,
        { kind: 'outage' },
      );
    const url = values.server ? `${ready.mcp}/${values.server}` : ready.mcp;
    // Whoever calls tools does not also decide on them: the gateway's own scopes must be asked for by name.
    const scopes =
      values.scope?.split(' ').filter(Boolean) ?? ready.scopes.filter((scope) => !scope.startsWith('gatewrit:'));
    const tokens = developmentTokens({
      home: values.home,
      issuer: ready.issuer,
      audience: url,
      subject: values.as,
      scopes,
    });
    await runStdioEntry({ url, ca: readFileSync(ready.ca, 'utf8'), tokens, ...shared });
    return 0;
  },
};
