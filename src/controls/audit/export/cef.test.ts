import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { Refusal } from '../../../core/refusal.ts';
import { bareCall, CANARIES, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { LogReader, type OpenRecord } from '../reader/read.ts';
import { cefOf } from './cef.ts';
import { ocsfEvents } from './ocsf.ts';

const facts = { deployment: 'test', version: '1.2.3' };
const log = fixture();
const records: OpenRecord[] = [];

before(async () => {
  const audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  for (const refusal of [
    new Refusal('authorization.denied', { evidence: 'rule|one=two\\three\nfour' }),
    new Refusal('redaction.blocked', {}),
  ]) {
    const call = readyCall(log.clock);
    call.refusal = refusal;
    await audit.stages.outcome.run(call, log.clock);
  }
  const stranger = bareCall(log.clock);
  stranger.refusal = new Refusal('authentication.invalid', { evidence: 'the key is not known' });
  await audit.stages.outcome.run(stranger, log.clock);
  await audit.close();
  const keys = { folder: `${log.home}/keys`, generate: false };
  const reader = await LogReader.open({ home: log.home, keys, store: log.store, deployment: 'test' });
  for await (const record of reader.follow('node-1', 0, { payload: true })) records.push(record);
});
after(() => log.remove());

/** A reader by the words of the format: what is before an escaped character belongs to it, a key is one word before `=`. */
function read(line: string): { header: string[]; extension: Record<string, string> } {
  assert.doesNotMatch(line, /[\p{Cc}\u2028\u2029]/u, 'one line, without controls');
  assert.ok(line.startsWith('CEF:0|'));
  const header: string[] = [];
  let i = 'CEF:0|'.length;
  for (let field = ''; header.length < 6; i++) {
    assert.ok(i < line.length, 'six fields behind the version');
    if (line[i] !== '|') field += line[i] === '\\' ? line[++i] : line[i];
    else {
      header.push(field);
      field = '';
    }
  }
  const extension: Record<string, string> = {};
  const text = line.slice(i);
  const starts = [...text.matchAll(/(?:^| )([A-Za-z0-9]+)=/g)].filter(({ index, 0: all }) => {
    // An `=` that is escaped belongs to a value.
    const equals = index + all.length - 1;
    return text[equals - 1] !== '\\';
  });
  for (const [n, start] of starts.entries()) {
    const from = start.index + start[0].length;
    const value = text.slice(from, starts[n + 1]?.index ?? text.length);
    assert.ok(!(start[1]! in extension), `${start[1]} is there once`);
    extension[start[1]!] = value.replace(/\\(.)/g, (_, c: string) => ({ n: '\n', r: '\r' })[c] ?? c);
  }
  return { header, extension };
}

const lines = () => records.flatMap((record) => ocsfEvents(record, facts)).map((event) => read(cefOf(event)));
const lineWith = (key: string, value: string) => lines().find(({ extension }) => extension[key] === value)!;

describe('CEF', () => {
  test('a call says who, what, of which server, and where its record stands', () => {
    const { header, extension } = lineWith('cat', 'intent');
    assert.deepEqual(header, ['Gatewrit', 'Gatewrit', '1.2.3', '600302', 'API Activity: Read', '2']);
    const record = records.find(({ envelope }) => envelope.kind === 'intent')!;
    assert.equal(extension['act'], 'canary_tool_4');
    assert.equal(extension['app'], 'canary-server-8');
    assert.equal(extension['suid'], CANARIES.subject);
    assert.equal(extension['cs1Label'], 'tenant');
    assert.equal(extension['cs1'], CANARIES.tenant);
    assert.equal(extension['cs2'], record.origin);
    assert.equal(extension['cn1'], String(record.leaf));
    assert.equal(extension['externalId'], record.envelope.id);
    assert.equal(extension['rt'], String(record.envelope.t_ms));
  });

  test('a refusal says why and weighs more; what a stranger wrote begins no field and no line of its own', () => {
    const refused = lineWith('reason', 'authorization.denied');
    assert.equal(refused.extension['msg'], 'rule|one=two\\three\nfour');
    assert.equal(refused.extension['outcome'], 'Failure');
    assert.equal(refused.header[5], '6');
    const stranger = lineWith('reason', 'authentication.invalid');
    assert.equal(stranger.header[4], 'Authentication: Logon');
    assert.equal(stranger.extension['src'], '192.0.2.7');
  });

  test('no value of a call is in any line, and every record has one', () => {
    const text = records.flatMap((record) => ocsfEvents(record, facts).map(cefOf)).join('\n');
    assert.ok(text.split('\n').length >= records.length);
    for (const value of [CANARIES.argument, CANARIES.reply, CANARIES.diagnostics]) assert.ok(!text.includes(value));
  });

  test('whatever stands in an event, a reader finds the same keys and the same values, but for controls and length', () => {
    const [event] = ocsfEvents(records.find(({ envelope }) => envelope.kind === 'intent')!, facts) as [object];
    const nasty = fc.string({ unit: fc.constantFrom(...'ab =|\\\n\r\t\u0000\u0085\u2028é😀CEF:0'), maxLength: 1_200 });
    const keys = Object.keys(read(cefOf({ ...event, status_detail: 'x' })).extension);
    fc.assert(
      fc.property(
        nasty.filter((text) => text.trim() !== ''),
        nasty,
        (detail, name) => {
          const { header, extension } = read(cefOf({ ...event, status_detail: detail, activity_name: name }));
          assert.equal(header.length, 6);
          assert.deepEqual(Object.keys(extension), keys);
          if (detail.length > 1_023) return;
          assert.equal(extension['msg'], detail.replace(/[^\P{Cc}\n\r]|[\u2028\u2029]/gu, ' '));
        },
      ),
      { numRuns: 500 },
    );
  });
});
