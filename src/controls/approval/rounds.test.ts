import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Approval, Consumed } from '../../core/call.ts';
import { approver1, at, callOf, codeOf, idIn, kit, MINUTE, person, replyOf, SECOND } from './approval-kit.test.ts';

const QUESTION = replyOf('{"resultType":"input_required","inputRequests":{"q":{}},"requestState":"s"}');

/** An approved call that has run once and answered with a question. */
async function asking() {
  const made = kit();
  const grant = idIn(await made.check(callOf(), at(0)));
  await made.act('approve', approver1, { id: grant }, at(SECOND));
  const consumed = (await made.run(callOf(), at(2 * SECOND))) as Consumed;
  assert.equal(consumed.id, grant);
  await consumed.settle(QUESTION, at(3 * SECOND));
  return { ...made, grant };
}

test('the next round of an approved call needs no new yes, and its records name the one it had', async () => {
  const { check, run, grant, log } = await asking();
  const left = (await check(callOf({ grant }), at(MINUTE))) as Approval;
  assert.deepEqual(left, {
    use: 'none',
    id: grant,
    approvers: ['https://issuer.test#approver1'],
    stored: null,
    approved: null,
  });
  const again = (await run(callOf({ grant }), at(2 * MINUTE))) as Consumed;
  assert.equal(again.id, null, 'nothing is used up twice');
  await again.settle(replyOf('{"content":[]}'), at(2 * MINUTE));
  assert.deepEqual(log.kinds(), ['requested', 'approved', 'consumed']);
});

test('a question is never replayed as if it were the result, and the same first round does not run again', async () => {
  const { check } = await asking();
  assert.equal(codeOf(await check(callOf(), at(4 * SECOND))), 'approval.consumed');
  assert.equal(codeOf(await check(callOf(), at(10 * MINUTE))), 'approval.consumed');
  assert.equal(codeOf(await check(callOf(), at(16 * MINUTE))), 'approval.required', 'asked for anew');
});

test('a grant serves no other call, principal, policy, rule or time', async () => {
  const others: Parameters<typeof callOf>[0][] = [
    { arguments: { title: 'other' } },
    { principal: person('bob') },
    { target: { digest: 'definition-2' } },
    { decision: { policy: 'policy-2' } },
    { decision: { rules: ['another'] } },
    { meta: { 'vendor/x': 1 } },
  ];
  for (const other of others) {
    const { check, grant } = await asking();
    assert.equal(
      codeOf(await check(callOf({ ...other, grant }), at(MINUTE))),
      'approval.consumed',
      JSON.stringify(other),
    );
  }
  const { check, grant } = await asking();
  assert.equal(codeOf(await check(callOf({ grant: `${grant}0` }), at(MINUTE))), 'approval.consumed');
  assert.equal(codeOf(await check(callOf({ grant }), at(16 * MINUTE))), 'approval.consumed', 'the hold has ended');
  assert.equal(codeOf(await check(callOf({ grant, approval: 'unheard-of' }), at(MINUTE))), 'approval.unavailable');
});

test('an approval that was never used up, or whose call has ended, opens no round', async () => {
  const { check, act, run } = kit();
  const grant = idIn(await check(callOf(), at(0)));
  assert.equal(codeOf(await check(callOf({ grant }), at(SECOND))), 'approval.consumed', 'pending');
  await act('approve', approver1, { id: grant }, at(SECOND));
  assert.equal(codeOf(await check(callOf({ grant }), at(SECOND))), 'approval.consumed', 'approved');
  const consumed = (await run(callOf(), at(2 * SECOND))) as Consumed;
  await consumed.settle(replyOf('{"content":[]}'), at(3 * SECOND));
  assert.equal(codeOf(await check(callOf({ grant }), at(4 * SECOND))), 'approval.consumed', 'ended');
  const other = kit();
  const unknown = idIn(await other.check(callOf(), at(0)));
  await other.act('approve', approver1, { id: unknown }, at(SECOND));
  await ((await other.run(callOf(), at(2 * SECOND))) as Consumed).settle(null, at(3 * SECOND));
  assert.equal(codeOf(await other.check(callOf({ grant: unknown }), at(4 * SECOND))), 'approval.consumed', 'unknown');
});
