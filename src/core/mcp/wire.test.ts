import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call, Message, Reply } from '../call.ts';
import { encodeReply } from './wire.ts';

const bytes = Buffer.from('{"jsonrpc":"2.0","id":"\\u0061","method":"x"}');
const callOf = (message: Partial<Message>) => ({ id: 'c', message: { bytes, ...message } }) as unknown as Call;
const reply = (text: string, status: number): Reply => ({
  kind: 'result',
  bytes: Buffer.from(text),
  findings: [],
  diagnostics: null,
  status,
});

test('a reply bears the id of its request byte for byte', () => {
  const spans = { id: { start: 22, end: 30 } } as Message['spans'];
  const { body, status } = encodeReply(callOf({ kind: 'request', spans }), reply('{"a":1}', 200));
  assert.equal(status, 200);
  assert.equal(Buffer.from(body).toString(), '{"jsonrpc":"2.0","id":"\\u0061","result":{"a":1}}');
});

test('a notification is acknowledged by its status, with no body at all', () => {
  const spans = { id: null } as Message['spans'];
  const { body, status } = encodeReply(callOf({ kind: 'notification', spans }), reply('', 202));
  assert.equal(status, 202);
  assert.equal(body.length, 0);
});
