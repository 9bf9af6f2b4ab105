import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Asker, carried, mayDecide, type Vote } from './entitled.ts';

const issuer = 'https://issuer.test';
const asker: Asker = { issuer, subject: 'alice', client: 'desktop', actors: [{ issuer, subject: 'agent' }] };
const rule = (quorum: number, groups = ['approvers']) => ({ approvers: { groups }, quorum });
const vote = (subject: string, more: Partial<Vote> = {}): Vote => ({
  issuer,
  subject,
  key: subject,
  groups: ['approvers'],
  decision: 'approve',
  reason: null,
  at: 0,
  ...more,
});

test('votes carry a call only as different people, in the group, none of them behind the request, and nobody against', () => {
  const cases: [string, Vote[], number, boolean][] = [
    ['nobody', [], 1, false],
    ['one', [vote('a')], 1, true],
    ['one of two', [vote('a')], 2, false],
    ['two', [vote('a'), vote('b')], 2, true],
    ['the same person twice', [vote('a'), vote('a', { key: 'other' })], 2, false],
    ['the same name at two issuers', [vote('a'), vote('a', { issuer: 'https://other.test' })], 2, true],
    ['one outside the group', [vote('a'), vote('b', { groups: ['staff'] })], 2, false],
    ['the requester', [vote('alice')], 1, false],
    ['his agent', [vote('agent')], 1, false],
    ['the owner of the agent', [vote('olga')], 1, false],
    ['one against two', [vote('a'), vote('b'), vote('c', { decision: 'deny' })], 2, false],
    ['a quorum nobody set', [], 0, false],
  ];
  const owners = { desktop: [{ issuer, subject: 'olga' }] };
  for (const [title, votes, quorum, expected] of cases) {
    assert.equal(carried(votes, { asker, rule: rule(quorum), owners }), expected, title);
  }
  assert.equal(carried([vote('a')], { asker, rule: rule(1, []), owners }), false, 'an empty list of groups');
});

test('the owner of an agent is behind what it asks for, as client, as actor for somebody, and in its own name', () => {
  const owners = { 'build-agent': [{ issuer, subject: 'olga' }] };
  const olga = { issuer, subject: 'olga', actors: [], groups: ['approvers'], proof: 'bearer' as const };
  const asks = (more: Partial<Asker>) =>
    mayDecide(olga, { asker: { ...asker, actors: [], ...more }, rule: rule(1), owners });
  assert.equal(asks({}), null);
  assert.equal(asks({ client: 'build-agent' }), 'approval.self');
  assert.equal(
    asks({
      actors: [
        { issuer, subject: 'other' },
        { issuer, subject: 'build-agent' },
      ],
    }),
    'approval.self',
  );
  assert.equal(
    asks({ subject: 'build-agent', client: '' }),
    'approval.self',
    'a token of the agent that names no client',
  );
  const relayed = { ...asker, client: 'desktop', actors: [{ issuer, subject: 'build-agent' }] };
  assert.equal(carried([vote('olga')], { asker: relayed, rule: rule(1), owners }), false, 'nor does such a vote count');
});

test('an owner list is found by client id only, whatever the id is called', () => {
  const strange = { ...asker, client: 'constructor' };
  const decider = { issuer, subject: 'a', actors: [], groups: ['approvers'], proof: 'bearer' as const };
  assert.equal(mayDecide(decider, { asker: strange, rule: rule(1), owners: {} }), null);
});
