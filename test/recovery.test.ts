import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECOVERY, type Recovery } from '../docs/reference/recovery.ts';
import { type Call, type Message, REVISIONS } from '../src/core/call.ts';
import { REFUSALS, type RefusalCode } from '../src/core/mcp/refusals.ts';
import { encodeRefusal } from '../src/core/mcp/wire.ts';
import { Refusal, type RefusalFacts } from '../src/core/refusal.ts';

const CODES = Object.keys(REFUSALS) as RefusalCode[];
const CALL_ID = '01935f4e-8a00-7000-8000-000000000017';
const EXPIRES = Date.parse('2026-11-22T21:00:00Z');

/** Each fact as a control gives it, and what a model has to read of it. */
const FACTS: Readonly<
  Record<NonNullable<Recovery['tells']>[number], { readonly given: RefusalFacts; readonly read: RegExp }>
> = {
  path: { given: { path: '/items/2/quantity' }, read: /Argument: \/items\/2\/quantity\./ },
  wait: { given: { retryAfterMs: 11_200 }, read: /Wait 12 s\./ },
  scopes: { given: { scopes: ['jira:read', 'jira:write'] }, read: /It needs: jira:read jira:write\./ },
  approval: {
    given: { approval: { id: 'a-17', expiresAt: EXPIRES } },
    read: /Approval: a-17, open until 2026-11-22T21:00:00\.000Z\./,
  },
};

/** The text a model reads: the content of a tool result, or the message of an error, as clients hand it on. */
function read(code: RefusalCode, facts: RefusalFacts, revision: (typeof REVISIONS)[number], method: string): string {
  const bytes = Buffer.from('{"id":1}');
  const message = { bytes, kind: 'request', method, name: 'x', revision, spans: { id: { start: 6, end: 7 } } };
  const call = { id: CALL_ID, message: message as unknown as Message, client: { revision } } as unknown as Call;
  const answer = JSON.parse(Buffer.from(encodeRefusal(call, new Refusal(code, facts)).body).toString()) as {
    result?: { content: { text: string }[] };
    error?: { message: string };
  };
  return answer.result ? answer.result.content.map(({ text }) => text).join('\n') : answer.error!.message;
}

for (const code of CODES)
  test(`${code}: what is read is enough to go on (${RECOVERY[code].who}: ${RECOVERY[code].what})`, () => {
    const tells = RECOVERY[code].tells ?? [];
    const facts = Object.assign({}, ...tells.map((fact) => FACTS[fact].given)) as RefusalFacts;
    for (const revision of REVISIONS)
      for (const method of ['tools/call', 'resources/read', 'prompts/get']) {
        const text = read(code, facts, revision, method);
        for (const fact of tells) assert.match(text, FACTS[fact].read, `${revision} ${method}`);
        if (text.includes('correlation id')) assert.match(text, new RegExp(`Correlation id: ${CALL_ID}\\.`));
        // In its own words where a control has some.
        const own = read(code, { ...facts, text: 'Only 3 of them.' }, revision, method);
        assert.match(own, /Only 3 of them\./);
        for (const fact of tells) assert.match(own, FACTS[fact].read, `${revision} ${method}`);
      }
  });

test('whether a call was made is told wherever a model might repeat one that has run', () => {
  const unmade: RefusalCode[] = [
    'authorization.unavailable',
    'approval.unavailable',
    'audit.unavailable',
    'upstream.unavailable',
  ];
  const doubtful: RefusalCode[] = [
    'redaction.unavailable',
    'audit.outcome_unknown',
    'upstream.timeout',
    'upstream.protocol',
    'upstream.state_lost',
    'approval.consumed',
  ];
  for (const code of unmade) assert.match(REFUSALS[code].text, /was not made/, code);
  for (const code of doubtful)
    assert.match(REFUSALS[code].text, /may (?:still )?have run|do not assume|outcome is unknown|may have run/, code);
});

test('what a model reads of one word is one thing to do, but for words that hide their reason on purpose', () => {
  const who = new Map<string, Set<string>>();
  for (const code of CODES) {
    const { word } = REFUSALS[code];
    who.set(word, (who.get(word) ?? new Set()).add(RECOVERY[code].who));
  }
  const several = [...who].filter(([, roles]) => roles.size > 1).map(([word]) => word);
  // NOT_FOUND: a path of the public listener, or an approval of the admin one.
  assert.deepEqual(several, ['NOT_FOUND']);
});
