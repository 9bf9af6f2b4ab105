import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCosigned, parseWitnessLine } from '../../../core/crypto/cosignature.ts';
import { prepareKeys, retireKeys, rotateKeys } from '../../../core/crypto/key-exchange.ts';
import { parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import { type MemoryRows, memoryRows, openMemoryStore } from '../../../core/store/memory.ts';
import { fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { stillNeeded } from '../keys/exchange.ts';
import { readVerifiers, verifyLog } from '../verifier/index.ts';
import { newWitnessKey, openWitness } from './open-witness.ts';
import { quorumOf, witnessSettings } from './settings.ts';
import { parseWitnessedLog } from './witnessed-logs.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-anchor-'));
const key = newWitnessKey('witness.example.org/w1', join(folder, 'key'));
const witnesses = [parseWitnessLine(key)!];
let states = 0;
after(() => rmSync(folder, { recursive: true, force: true }));

/** A home that was opened once, so that its public key can be given to a witness. */
async function witnessedHome(t: TestContext) {
  const rows = memoryRows();
  const home = fixture(openMemoryStore(rows));
  t.after(home.remove);
  await (await home.open()).close();
  const state = join(folder, `state-${states++}`);
  let port = 0;
  const start = async () => {
    const lines = readFileSync(join(home.home, 'keys', 'audit.pub'), 'utf8')
      .trim()
      .split('\n');
    const witness = await openWitness({
      keyText: readFileSync(join(folder, 'key'), 'utf8'),
      logs: lines.map((line) => parseWitnessedLog(line)!),
      state,
      maxOrigins: 100,
      host: '127.0.0.1',
      port,
      tls: null,
      say: () => undefined,
    });
    port = Number(new URL(witness.url).port);
    return witness;
  };
  const log = join(home.home, 'audit', 'node-1');
  const settings = (changes: object = {}) => ({
    witness: { url: `http://127.0.0.1:${port}`, key, everyMs: 1_000, deadlineMs: 5_000, timeoutMs: 2_000, ...changes },
  });
  const cosigned = (tree: string) => {
    const verifiers = readVerifiers(join(home.home, 'keys', 'audit.pub'));
    const opened = openCosigned(readFileSync(join(log, tree, 'cosigned'), 'utf8'), verifiers, witnesses);
    assert.deepEqual(
      opened?.cosignedBy.map(({ name }) => name),
      ['witness.example.org/w1'],
    );
    return parseCheckpoint(opened!.text)!;
  };
  const signed = (tree: string) => readFileSync(join(log, tree, 'checkpoint'), 'utf8').split('\n\n')[0]!;
  return { ...home, rows, log, start, settings, cosigned, signed };
}

async function calls(
  home: Awaited<ReturnType<typeof witnessedHome>>,
  audit: Awaited<ReturnType<typeof home.open>>,
  n: number,
  tenant?: string,
) {
  for (let i = 0; i < n; i++)
    await runCall(audit, readyCall({ ...home.clock }, tenant ? { tenant } : {}), { ...home.clock });
}

describe('a log with a witness', () => {
  test('every tree of it is cosigned as it stands, the tenants and the journal', async (t) => {
    const home = await witnessedHome(t);
    const witness = await home.start();
    for (let round = 0; round < 3; round++) {
      const audit = await home.open({}, home.settings());
      await calls(home, audit, 3 + round);
      await calls(home, audit, round, 'another-tenant');
      await audit.close();
    }
    await witness.close();
    assert.deepEqual(home.fatal, []);
    const { size } = home.cosigned('journal');
    assert.equal(home.signed('journal').split('\n')[1], String(size));
    assert.ok(size >= 24);
  });

  test('while the witness is away the log opens, and closes for calls at the deadline', async (t) => {
    const home = await witnessedHome(t);
    const witness = await home.start();
    await witness.close();
    const audit = await home.open({}, home.settings());
    await calls(home, audit, 1);
    home.clock.mono += 5_001;
    await assert.rejects(calls(home, audit, 1), /audit.unavailable|witness/);
    const again = await home.start();
    t.after(() => again.close());
    for (let i = 0; i < 100 && !existsSync(join(home.log, 'journal', 'cosigned')); i++) {
      await audit.checkpoint();
      await sleep(50);
    }
    await sleep(20);
    await calls(home, audit, 1);
    await audit.close();
    assert.deepEqual(home.fatal, []);
  });

  test('what was written while the witness was away is cosigned after the next start, the tenants’ trees too', async (t) => {
    const home = await witnessedHome(t);
    await (await home.start()).close();
    const audit = await home.open({}, home.settings());
    await calls(home, audit, 1);
    await audit.close();
    const witness = await home.start();
    t.after(() => witness.close());
    await (await home.open({}, home.settings())).close();
    for (const tree of ['journal', ...readdirSync(join(home.log, 'trees')).map((tag) => `trees/${tag}`)])
      assert.equal(String(home.cosigned(tree).size), home.signed(tree).split('\n')[1], tree);
    assert.deepEqual(home.fatal, []);
  });

  test('a checkpoint key that the witness was told of before is exchanged without a call refused', async (t) => {
    const home = await witnessedHome(t);
    const before = await home.start();
    const audit = await home.open({}, home.settings());
    await calls(home, audit, 1);
    const { other } = prepareKeys(join(home.home, 'keys'), 'checkpoint');
    await audit.takeOverKeys();
    await before.close();
    const witness = await home.start();
    t.after(() => witness.close());
    assert.equal(rotateKeys(join(home.home, 'keys'), 'checkpoint').current, other);
    await audit.takeOverKeys();
    for (let round = 0; round < 3; round++) {
      await calls(home, audit, 1);
      await audit.checkpoint();
      const size = Number(home.signed('journal').split('\n')[1]);
      for (let i = 0; home.cosigned('journal').size < size; i++) {
        assert.ok(i < 200, 'the witness knows the key that signs now');
        await audit.checkpoint();
        await sleep(50);
      }
    }
    await audit.close();
    assert.deepEqual(home.fatal, []);
    retireKeys(join(home.home, 'keys'), 'checkpoint');
  });

  test('a checkpoint key does not go while cosigned checkpoints are signed by it alone: they would be taken for forged', async (t) => {
    const home = await witnessedHome(t);
    const keys = join(home.home, 'keys');
    const where = { home: home.home, store: home.store, now: home.clock.utc };
    const before = await home.start();
    const audit = await home.open({}, home.settings());
    await calls(home, audit, 1);
    await audit.close();
    await before.close();
    rotateKeys(keys, 'checkpoint');
    await (await home.open({}, home.settings())).close();
    assert.match((await stillNeeded('checkpoint', where))!, /2 cosigned checkpoints/);

    const witness = await home.start();
    t.after(() => witness.close());
    await (await home.open({}, home.settings())).close();
    assert.equal(await stillNeeded('checkpoint', where), null);
    retireKeys(keys, 'checkpoint');
    await (await home.open({}, home.settings())).close();
    const reports = await verifyLog(join(home.home, 'audit'), readVerifiers(join(keys, 'audit.pub')), { witnesses });
    assert.deepEqual(
      reports.flatMap(({ findings }) => findings),
      [],
    );
  });

  test('a witness that is not required never closes the log', async (t) => {
    const home = await witnessedHome(t);
    await (await home.start()).close();
    const audit = await home.open({}, home.settings({ required: false }));
    home.clock.mono += 1e9;
    await calls(home, audit, 1);
    await audit.close();
    assert.ok(!existsSync(join(home.log, 'journal', 'cosigned')));
  });
});

describe('a log with three witnesses, two of which must cosign', () => {
  /** Three of them, each with a memory of its own; they know the log when its home was opened once. */
  async function three(t: TestContext) {
    const home = await witnessedHome(t);
    const own = [1, 2, 3].map((i) => {
      const name = `w${i}.example.org`;
      const file = join(folder, `key-${states++}`);
      return { name, file, line: newWitnessKey(name, file), state: join(folder, `state-${states++}`), port: 0 };
    });
    const start = async (i: number) => {
      const witness = own[i]!;
      const line = readFileSync(join(home.home, 'keys', 'audit.pub'), 'utf8').trim();
      const opened = await openWitness({
        keyText: readFileSync(witness.file, 'utf8'),
        logs: [parseWitnessedLog(line)!],
        state: witness.state,
        maxOrigins: 100,
        host: '127.0.0.1',
        port: witness.port,
        tls: null,
        say: () => undefined,
      });
      witness.port = Number(new URL(opened.url).port);
      let open = true;
      const close = async () => {
        if (open) await opened.close();
        open = false;
      };
      t.after(close);
      return close;
    };
    const settings = (changes: object = {}) => {
      const [first, ...others] = own.map(({ line, port }) => ({ url: `http://127.0.0.1:${port}`, key: line }));
      return { witness: { ...first!, others, everyMs: 1_000, deadlineMs: 5_000, timeoutMs: 2_000, ...changes } };
    };
    const cosignedBy = () => {
      const verifiers = readVerifiers(join(home.home, 'keys', 'audit.pub'));
      const note = readFileSync(join(home.log, 'journal', 'cosigned'), 'utf8');
      const opened = openCosigned(
        note,
        verifiers,
        own.map(({ line }) => parseWitnessLine(line)!),
      )!;
      return { size: parseCheckpoint(opened.text)!.size, names: opened.cosignedBy.map(({ name }) => name).sort() };
    };
    return { ...home, own, startOne: start, settings, cosignedBy };
  }

  test('one may be away: calls go on, and it is back in when it comes back', async (t) => {
    const home = await three(t);
    const close = [await home.startOne(0), await home.startOne(1), await home.startOne(2)];
    for (const [round, away] of [null, 0, 2, null].entries()) {
      for (const i of [0, 1, 2]) {
        await close[i]!();
        if (i !== away) close[i] = await home.startOne(i);
      }
      const audit = await home.open({}, home.settings());
      await calls(home, audit, 2 + round);
      await calls(home, audit, 1, 'another-tenant');
      await audit.close();
      const { size, names } = home.cosignedBy();
      assert.equal(String(size), home.signed('journal').split('\n')[1]);
      assert.deepEqual(
        names,
        home.own.filter((_, i) => i !== away).map(({ name }) => name),
      );
    }
    assert.deepEqual(home.fatal, []);
  });

  test('when two are away the log closes for calls at the deadline', async (t) => {
    const home = await three(t);
    for (const i of [0, 1, 2]) await (await home.startOne(i))();
    await home.startOne(1);
    const audit = await home.open({}, home.settings());
    await calls(home, audit, 1);
    home.clock.mono += 5_001;
    await assert.rejects(calls(home, audit, 1), /audit.unavailable/);
    await audit.close();
    assert.ok(
      !existsSync(join(home.log, 'journal', 'cosigned')),
      'one cosignature is kept nowhere as if it were enough',
    );
  });

  test('one that has seen more stops the start, whatever another says', async (t) => {
    const home = await three(t);
    const close = [await home.startOne(0), await home.startOne(1), await home.startOne(2)];
    const first = await home.open({}, home.settings());
    await calls(home, first, 2);
    await first.close();
    const restore = backupOf(home);
    await close[0]!();
    const second = await home.open({}, home.settings());
    await calls(home, second, 4);
    await second.close();
    const store = restore();
    await close[1]!();
    await home.startOne(0);
    await assert.rejects(home.open({ store }, home.settings()), {
      code: 'audit.rolled_back',
      message: /w3\.example\.org/,
    });
  });

  test('a quorum is more than half of them, each once', async (t) => {
    const { settings, own } = await three(t);
    const judge = (changes: object) => witnessSettings.safeParse(settings(changes).witness).error?.issues[0]?.message;
    assert.equal(judge({}), undefined);
    assert.equal(quorumOf(witnessSettings.parse(settings().witness)!), 2);
    for (const quorum of [2, 3]) assert.equal(judge({ quorum }), undefined);
    for (const quorum of [1, 4]) assert.match(judge({ quorum })!, /more than half/);
    const { line, name } = own[0]!;
    const again = newWitnessKey(name, join(folder, `key-${states++}`));
    for (const key of [line, again])
      assert.match(judge({ others: [{ url: 'https://w.example.org', key }], quorum: 2 })!, /there once/);
  });
});

/** Home and store together, as they are now; the result puts both back. */
function backupOf({ home, rows }: { home: string; rows: MemoryRows }) {
  const copy = join(folder, `backup-${states++}`);
  const kept = structuredClone(rows);
  cpSync(home, copy, { recursive: true });
  return () => {
    rmSync(home, { recursive: true });
    cpSync(copy, home, { recursive: true });
    return openMemoryStore(kept);
  };
}

describe('a witness remembers', () => {
  test('a backup that was restored with its store does not start, nor where it went on behind the witness', async (t) => {
    const home = await witnessedHome(t);
    const witness = await home.start();
    t.after(() => witness.close());
    const first = await home.open({}, home.settings());
    await calls(home, first, 2);
    await first.close();
    const restore = backupOf(home);
    const second = await home.open({}, home.settings());
    await calls(home, second, 4);
    await second.close();
    const store = restore();
    await assert.rejects(home.open({ store }, home.settings()), { code: 'audit.rolled_back' });
    const third = await home.open({ store });
    await calls(home, third, 20);
    await third.close();
    await assert.rejects(home.open({ store }, home.settings()), { code: 'audit.forked' });
  });

  test('a log of which nothing is left does not start anew under its name', async (t) => {
    const home = await witnessedHome(t);
    const witness = await home.start();
    t.after(() => witness.close());
    const audit = await home.open({}, home.settings());
    await calls(home, audit, 2);
    await audit.close();
    rmSync(join(home.home, 'audit'), { recursive: true });
    const store = openMemoryStore(memoryRows());
    await assert.rejects(home.open({ store }, home.settings()), { code: 'audit.rolled_back' });
  });

  test('a log that was opened while the witness was away ends when the witness has seen another', async (t) => {
    const home = await witnessedHome(t);
    const witness = await home.start();
    const first = await home.open({}, home.settings());
    await calls(home, first, 2);
    await first.close();
    const restore = backupOf(home);
    const second = await home.open({}, home.settings());
    await calls(home, second, 4);
    await second.close();
    await witness.close();
    const store = restore();
    const third = await home.open({ store }, home.settings());
    await calls(home, third, 20);
    const again = await home.start();
    t.after(() => again.close());
    await third.close();
    assert.equal((home.fatal[0] as { code?: string }).code, 'audit.forked');
  });

  test('a cosignature that was lost on its way is asked for again', async (t) => {
    const home = await witnessedHome(t);
    const witness = await home.start();
    t.after(() => witness.close());
    for (let round = 0; round < 2; round++) {
      const audit = await home.open({}, home.settings());
      await calls(home, audit, 2);
      await audit.close();
      if (round === 0) rmSync(join(home.log, 'journal', 'cosigned'));
    }
    assert.equal(String(home.cosigned('journal').size), home.signed('journal').split('\n')[1]);
  });

  test('an answer that is no cosignature by the witness that was named counts for nothing', async (t) => {
    const home = await witnessedHome(t);
    const witness = await home.start();
    t.after(() => witness.close());
    const other = newWitnessKey('witness.example.org/w1', join(folder, `key-${states++}`));
    const audit = await home.open({}, home.settings({ key: other }));
    await calls(home, audit, 1);
    home.clock.mono += 5_001;
    await assert.rejects(calls(home, audit, 1));
    await audit.close();
    assert.ok(!existsSync(join(home.log, 'journal', 'cosigned')));
  });
});
