import { parseArgs } from 'node:util';
import { InternalError } from '../../core/internal-error.ts';
import {
  CERTIFICATE_USAGE,
  type CertificateFiles,
  type ClientCertificate,
  certificateFiles,
  certificateOptions,
  readClientCertificate,
} from '../client-certificate.ts';
import { type AdminAnswer, askAdmin, refusalText } from './admin-api.ts';
import { type CardJson, cardText, type SummaryJson, tableText } from './approvals-text.ts';
import { type Command, type Io, optionTrouble, wrongUse } from './command.ts';
import { type Ready, readReady } from './ready.ts';

const usage = `usage: gatewrit approvals list            --as PERSON [--home D] [--json]
       gatewrit approvals show ID         --as PERSON [--home D] [--json]
       gatewrit approvals approve|deny ID --as PERSON [--reason TEXT] [--home D] [--json]

Calls that wait for a person. An approval holds for exactly the call that is shown, once; the caller then repeats the
call within two minutes. Nobody decides on his own call.

  --as PERSON    who you are; signs in through the development issuer (it knows approver1 and approver2)
  --reason TEXT  why; kept in the audit record, never sent to the caller
  --home D       home of the gateway (default .gatewrit)
  --json         the answer of the admin API as one line of JSON
${CERTIFICATE_USAGE}
Exit codes: 0 done, 1 refused, 2 wrong use, 3 could not run.

Example: gatewrit approvals list --as approver1
`;

const VERBS = ['list', 'show', 'approve', 'deny'] as const;
type Verb = (typeof VERBS)[number];

/** Gets a bearer token for a person: development mints it, elsewhere the person signs in. */
export type SignIn = (home: string, person: string) => Promise<string>;

interface Asked {
  readonly verb: Verb;
  readonly id: string;
  readonly as: string;
  readonly reason: string | undefined;
  readonly home: string;
  readonly json: boolean;
  readonly certificate: CertificateFiles | null;
}

/** `gatewrit approvals`: a client of the admin API like any other; it decides nothing itself. */
export function approvalsCommand(signIn: SignIn): Command {
  return {
    name: 'approvals',
    summary: 'list, show, approve and deny calls that wait for a person',
    usage,
    async run(argv: string[], io: Io): Promise<number> {
      const asked = readArguments(argv);
      if (asked === 'help') {
        io.stdout(usage);
        return 0;
      }
      if (typeof asked === 'string') {
        return wrongUse(io, 'approvals', asked);
      }
      try {
        const ready = readReady(asked.home);
        if (!ready) {
          io.stderr(`gatewrit approvals: no gateway is running with home ${asked.home}; run: gatewrit start\n`);
          return 3;
        }
        const certificate = readClientCertificate(asked.certificate, { utc: Date.now() });
        return report(asked, await send(asked, ready, await signIn(asked.home, asked.as), certificate), io);
      } catch (cause) {
        io.stderr(`gatewrit approvals: the gateway cannot be asked: ${reasonOf(cause)}\n`);
        return 3;
      }
    },
  };
}

/** What was asked, 'help', or a sentence that says what is wrong. */
function readArguments(argv: string[]): Asked | 'help' | string {
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        as: { type: 'string' },
        reason: { type: 'string' },
        home: { type: 'string', default: '.gatewrit' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        ...certificateOptions,
      },
    });
    if (values.help) return 'help';
    const [verb, id, ...more] = positionals;
    if (!VERBS.includes(verb as Verb)) return `the first word is one of ${VERBS.join(', ')}`;
    if ((verb === 'list') !== (id === undefined) || more.length > 0) {
      return verb === 'list' ? 'list takes no id' : `${verb} takes one id`;
    }
    if (id !== undefined && !/^[0-9a-f]{32}$/.test(id))
      return 'an id is 32 characters 0-9 a-f, as gatewrit approvals list prints it';
    if (!values.as) return '--as PERSON is missing';
    if (values.reason !== undefined && verb !== 'approve' && verb !== 'deny') return `${verb} takes no --reason`;
    const certificate = certificateFiles(values, process.env);
    if (typeof certificate === 'string') return certificate;
    const { as, reason, home, json } = values;
    return { verb: verb as Verb, id: id ?? '', as, reason, home, json, certificate };
  } catch (cause) {
    return optionTrouble(cause) ?? (cause as Error).message;
  }
}

function send(
  asked: Asked,
  ready: Ready,
  token: string,
  certificate: ClientCertificate | undefined,
): Promise<AdminAnswer> {
  const decides = asked.verb === 'approve' || asked.verb === 'deny';
  const end = asked.verb === 'list' ? '' : `/${asked.id}${decides ? `/${asked.verb}` : ''}`;
  const sent = decides ? (asked.reason === undefined ? {} : { reason: asked.reason }) : null;
  return askAdmin(ready, token, `/api/approvals${end}`, sent, certificate);
}

function report(asked: Asked, { status, body }: AdminAnswer, io: Io): number {
  if (asked.json) io.stdout(`${JSON.stringify(body)}\n`);
  if (status === 200 && body['error'] === undefined) {
    if (!asked.json) io.stdout(textOf(asked.verb, body));
    return 0;
  }
  io.stderr(`gatewrit approvals: ${refusalText({ status, body })}\n`);
  return status >= 500 ? 3 : 1;
}

function textOf(verb: Verb, body: AdminAnswer['body']): string {
  if (verb === 'list') return tableText(body as unknown as { approvals: SummaryJson[]; more: number });
  if (verb === 'show') return cardText(body as unknown as CardJson);
  const { id, state, votes, quorum, runBy } = body as {
    id: string;
    state: string;
    votes: number;
    quorum: number;
    runBy: number | null;
  };
  if (state === 'denied') return `Denied ${id}. The caller is told so and nothing runs.\n`;
  if (state === 'pending') return `Approved by you: ${votes} of ${quorum} for ${id}. It waits for the others.\n`;
  const until = runBy === null ? '' : ` until ${new Date(runBy).toISOString()}`;
  return `Approved ${id}. It runs once, when its caller repeats the call${until}.\n`;
}

function reasonOf(cause: unknown): string {
  // Ours are whole sentences.
  if (cause instanceof InternalError) return cause.message;
  const code = (cause as { code?: unknown }).code;
  const message = cause instanceof Error ? cause.message : String(cause);
  return typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message;
}
