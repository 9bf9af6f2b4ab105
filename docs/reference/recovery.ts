import type { RefusalCode } from '../../src/core/mcp/refusals.ts';

/** Who can mend it: the model by another call, the client's program, its user, or the gateway's operator. */
export type Who = 'model' | 'client' | 'user' | 'operator' | 'approver';

/**
 * What to do about each refusal. `tells`: facts that the answer bears besides its text, without which nobody could do
 * it; test/recovery.test.ts looks for them in what a model reads, in every era.
 */
export interface Recovery {
  readonly who: Who;
  readonly what: string;
  readonly tells?: readonly ('path' | 'wait' | 'scopes' | 'approval')[];
}

const client = (what: string): Recovery => ({ who: 'client', what });
const operator = (what: string): Recovery => ({ who: 'operator', what });
const model = (what: string, ...tells: NonNullable<Recovery['tells']>): Recovery =>
  tells.length > 0 ? { who: 'model', what, tells } : { who: 'model', what };
const user = (what: string, ...tells: NonNullable<Recovery['tells']>): Recovery =>
  tells.length > 0 ? { who: 'user', what, tells } : { who: 'user', what };
const approver = (what: string): Recovery => ({ who: 'approver', what });

const SIGN_IN = user('Sign in again. Every reason is told alike; the operator finds the true one by correlation id.');

export const RECOVERY: Readonly<Record<RefusalCode, Recovery>> = {
  'transport.host': client('Use the address that the gateway names as its own.'),
  'transport.origin': operator('Allow the origin, if this page may call.'),
  'transport.method': client('Send POST.'),
  'transport.path': client('Use the address of an endpoint: `/mcp` or `/mcp/{server}`.'),
  'transport.framing': client('Send one well-framed HTTP/1.1 message; look at proxies between.'),
  'transport.media_type': client('Send `application/json` in UTF-8 without content coding.'),
  'transport.not_acceptable': client('Accept both media types.'),
  'transport.too_large': model('Send less, or in parts.'),
  'transport.timeout': client('Send the body without pauses.'),
  'transport.aborted': client('Send the request again, whole.'),
  'transport.draining': model('Wait as long as it says and repeat the call.', 'wait'),

  'limits.backoff': client('Wait as long as it says, then send a token that is valid.'),
  'limits.exceeded': model('Wait as long as it says and repeat the call.', 'wait'),
  'limits.overloaded': model('Wait as long as it says and repeat the call.', 'wait'),
  'limits.streams': client('End a stream, a session or a waiting call.'),
  'limits.unavailable': model('Repeat the call later; it was not made.'),

  'authentication.missing': user('Sign in; the challenge names the metadata of this resource.'),
  'authentication.invalid': SIGN_IN,
  'authentication.expired': SIGN_IN,
  'authentication.wrong_audience': SIGN_IN,
  'authentication.unavailable': SIGN_IN,
  'authentication.session': client('Begin a new session with `initialize`.'),

  'validation.encoding': client('Send UTF-8.'),
  'validation.json': client('Send one valid JSON text.'),
  'validation.duplicate_key': client('Name each member of an object once.'),
  'validation.bounds': client('Nest less deep and send fewer members.'),
  'validation.batch': client('Send one message per request.'),
  'validation.envelope': client('Send one JSON-RPC request or notification.'),
  'validation.meta': client('Name both members of `params._meta`.'),
  'validation.capability': client('Declare the capability named in `data.requiredCapabilities`.'),
  'validation.revision': client('Choose one of the revisions in `data.supported`.'),
  'validation.header_mismatch': client('Repeat in the headers what the body says.'),
  'validation.method': client('Use a method of this revision that the server declares.'),
  'validation.params': model('Mend the parameter that the text names.', 'path'),
  'validation.cursor': model('Start the list again, without a cursor.'),
  'validation.round': model('Repeat the call without `requestState`.'),
  'validation.arguments': model('Mend the argument that the path names, as the text says.', 'path'),
  'validation.too_large': model('Send less, or in parts.'),

  'authorization.unknown': model('List tools, prompts or resources and use a name that stands there.'),
  'authorization.insufficient_scope': user('Consent to the scopes it names; the challenge names them too.', 'scopes'),
  'authorization.denied': model(
    'Do something else, or mend the argument that the path names; do not repeat it unchanged.',
    'path',
  ),
  'authorization.unavailable': model('Repeat the call later; it was not made.'),

  'redaction.blocked': model('Leave the secret out and repeat the call.', 'path'),
  'redaction.unavailable': model('Look whether the call has run before repeating it.'),

  'approval.required': model('Wait for a person; then repeat the same call with the same arguments.', 'approval'),
  'approval.denied': model('Do not repeat the call unchanged; ask the user.'),
  'approval.expired': model('Repeat the call: it asks for a new approval.'),
  'approval.consumed': model('Do not repeat the call; look whether it has run.'),
  'approval.unavailable': model('Wait and repeat the call; it was not made.', 'wait'),
  'approval.self': approver('Let somebody else decide.'),
  'approval.not_entitled': approver('Let an approver of this call decide.'),
  'approval.not_found': approver('Look at the list of what is waiting.'),
  'approval.not_pending': approver('Nothing: it was decided or its time is over.'),

  'audit.unavailable': model('Repeat the call later; it was not made.'),
  'audit.outcome_unknown': model('Look whether the call has run before repeating it.'),

  'upstream.timeout': model('Look whether the call has run before repeating it; ask for less.'),
  'upstream.unavailable': model('Repeat the call later; it was not made.'),
  'upstream.protocol': model('Look whether the call has run; tell the operator if it stays so.'),
  'upstream.too_large': model('Ask for less: a filter, a page, a limit.'),
  'upstream.capability': client('Declare the capability the text names, or use another client.'),
  'upstream.state_lost': model('Look whether the call has run before repeating it.'),
  'upstream.cancelled': model('Nothing: the caller cancelled it.'),

  'errors.internal': operator('Look the correlation id up: `gatewrit audit show ID`, and the log.'),
};
