import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { openCosigned, parseWitnessLine } from '../../../core/crypto/cosignature.ts';
import { consistencyProof, EMPTY_ROOT, Frontier, leafHash, type NodeAt } from '../../../core/crypto/merkle.ts';
import { checkpointText, parseVerifierLine, signNote, verifierLine } from '../../../core/crypto/signed-note.ts';
import { newWitnessKey, openWitness } from './open-witness.ts';
import { submissionText } from './submission.ts';
import { parseWitnessedLog } from './witnessed-logs.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-witness-'));
const log = { name: 'test', ...generateKeyPairSync('ed25519') };
const stranger = { name: 'test', ...generateKeyPairSync('ed25519') };
const vkey = verifierLine(log.name, log.publicKey);
const ORIGIN = 'test/journal/node-1';
const NOW = 1_790_000_000_000;
const keyText = () => readFileSync(join(folder, 'key'), 'utf8');
const publicLine = newWitnessKey('witness.example.org/w1', join(folder, 'key'));
const witnesses = [parseWitnessLine(publicLine)!];
let states = 0;

after(() => rmSync(folder, { recursive: true, force: true }));

/** A tree of numbered leaves; `other` from a leaf on. */
class Numbers {
  readonly #nodes = new Map<string, Buffer>();
  readonly frontier = new Frontier();

  constructor(size: number, otherFrom = size) {
    for (let i = 0; i < size; i++)
      this.frontier.append(leafHash(Buffer.from(`${i < otherFrom ? '' : 'other '}${i}`)), (level, index, node) =>
        this.#nodes.set(`${level}/${index}`, Buffer.from(node)),
      );
  }

  readonly nodeAt: NodeAt = (level, index) => this.#nodes.get(`${level}/${index}`)!;

  note(origin = ORIGIN, signer = log): string {
    return signNote(checkpointText({ origin, size: this.frontier.size, root: this.frontier.root() }), signer);
  }

  proof(from: number): readonly Uint8Array[] {
    return consistencyProof(from, this.frontier.size, this.nodeAt);
  }
}

async function witnessAt(
  state = join(folder, `state-${states++}`),
  changes: Partial<Parameters<typeof openWitness>[0]> = {},
) {
  const opened = await openWitness({
    keyText: keyText(),
    logs: [parseWitnessedLog(vkey)!],
    state,
    maxOrigins: 100,
    host: '127.0.0.1',
    port: 0,
    tls: null,
    say: () => undefined,
    now: () => NOW,
    ...changes,
  });
  return {
    ...opened,
    state,
    async post(body: string | Uint8Array, path = '/add-checkpoint') {
      const answer = await fetch(opened.url + path, { method: 'POST', body });
      return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
    },
    submit(old: number, tree: Numbers, note = tree.note(), proof = tree.proof(old)) {
      return this.post(submissionText({ old, proof, note }));
    },
  };
}

describe('a witness', () => {
  test('cosigns a tree it sees for the first time, then every one that grew from the one before', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    let old = 0;
    for (const size of [1, 2, 3, 7, 8, 300]) {
      const tree = new Numbers(size);
      const { status, text } = await witness.submit(old, tree);
      assert.equal(status, 200);
      const opened = openCosigned(tree.note() + text, [parseVerifierLine(vkey)!], witnesses)!;
      assert.deepEqual(opened.cosignedBy, [{ name: 'witness.example.org/w1', time: NOW / 1000 }]);
      old = size;
    }
  });

  test('cosigns the same tree again', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    assert.equal((await witness.submit(0, new Numbers(5))).status, 200);
    assert.equal((await witness.submit(5, new Numbers(5))).status, 200);
  });

  test('says 409 and the size it has seen when the old size is another', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    await witness.submit(0, new Numbers(5));
    const expected = { status: 409, type: 'text/x.tlog.size', text: '5\n' };
    assert.deepEqual(await witness.submit(3, new Numbers(8)), expected);
    assert.deepEqual(await witness.submit(0, new Numbers(8)), expected);
    assert.deepEqual(await witness.submit(0, new Numbers(3)), expected);
  });

  test('never cosigns two trees of one size, nor a smaller one', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    await witness.submit(0, new Numbers(5));
    assert.equal((await witness.submit(5, new Numbers(5, 4))).status, 409);
    assert.equal((await witness.submit(5, new Numbers(4), undefined, [])).status, 400);
  });

  test('says 422 to a tree that did not grow from the one it has seen', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    await witness.submit(0, new Numbers(5));
    const forked = new Numbers(9, 4);
    assert.equal((await witness.submit(5, forked)).status, 422);
    assert.equal((await witness.submit(5, new Numbers(9), undefined, [])).status, 422);
    assert.equal((await witness.submit(5, new Numbers(9), undefined, new Numbers(9).proof(4))).status, 422);
    assert.equal((await witness.submit(5, new Numbers(9))).status, 200);
  });

  test('says 403 when no known key signed, 404 when the origin is not witnessed here', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    const tree = new Numbers(5);
    assert.equal((await witness.submit(0, tree, tree.note(ORIGIN, stranger))).status, 403);
    assert.equal((await witness.submit(0, tree, tree.note('other/journal/node-1'))).status, 404);
    assert.equal((await witness.submit(0, tree, tree.note('test'))).status, 404);
    assert.equal((await witness.submit(0, tree, tree.note('testing/journal'))).status, 404);
  });

  test('ignores lines of unknown keys beside the known one', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    const tree = new Numbers(5);
    const note = tree.note() + tree.note(ORIGIN, stranger).split('\n\n')[1]!;
    assert.equal((await witness.submit(0, tree, note)).status, 200);
  });

  test('says 400 to everything that is not a submission', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    const tree = new Numbers(3);
    const good = submissionText({ old: 0, proof: [], note: tree.note() });
    const hash = Buffer.alloc(32).toString('base64');
    for (const body of [
      '',
      'old 0\n',
      good.replace('old 0', 'old 00'),
      good.replace('old 0', 'old -1'),
      good.replace('old 0', 'old 4'),
      good.replace('old 0', 'new 0'),
      good.replace('old 0', 'old 0 '),
      good.replace('old 0\n', 'old 0\nAAAA\n'),
      good.replace('old 0\n', `old 0\n${`${hash}\n`.repeat(64)}`),
      good.slice(0, -1),
      good.replace('\u2014', '-'),
      good.replace(`\n${tree.frontier.size}\n`, '\n03\n'),
      good.replaceAll('\n', '\r\n'),
    ])
      assert.equal((await witness.post(body)).status, 400, JSON.stringify(body));
    const bytes = Buffer.from(good);
    bytes[bytes.length - 2] = 0xff;
    assert.equal((await witness.post(bytes)).status, 400);
    assert.equal((await witness.post(good)).status, 200);
  });

  test('reads no more of a request than a submission can be', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    const status = await witness.post('x'.repeat(1_000_000)).then(
      (answer) => answer.status,
      () => 413,
    );
    assert.equal(status, 413);
    assert.equal((await witness.submit(0, new Numbers(1))).status, 200);
  });

  test('remembers over restarts: what it cosigned was on disk before the cosignature left', async () => {
    const first = await witnessAt();
    await first.submit(0, new Numbers(5));
    await first.close();
    const second = await witnessAt(first.state);
    assert.equal((await second.submit(0, new Numbers(9, 2))).status, 409);
    assert.equal((await second.submit(5, new Numbers(9, 2))).status, 422);
    assert.equal((await second.submit(5, new Numbers(9))).status, 200);
    await second.close();
  });

  test('one stranger who holds connections open keeps no log out', async (t) => {
    const witness = await witnessAt();
    const { port } = new URL(witness.url);
    const held = Array.from({ length: 300 }, () =>
      connect({ port: Number(port), host: '127.0.0.1' }).on('error', () => {}),
    );
    t.after(async () => {
      for (const socket of held) socket.destroy();
      await witness.close();
    });
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    const answer = await new Promise<string>((resolve, reject) => {
      const submission = submissionText({ old: 0, proof: [], note: new Numbers(5).note() });
      const head = `POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: ${Buffer.byteLength(submission)}\r\nConnection: close\r\n\r\n`;
      let text = '';
      connect({ port: Number(port), host: '127.0.0.1', localAddress: '127.0.0.2' })
        .on('data', (chunk) => (text += chunk))
        .on('close', () => resolve(text))
        .on('error', reject)
        .end(head + submission);
    });
    assert.match(answer, /^HTTP\/1.1 200 /);
  });

  test('of many submissions at once from one old size, one at most is cosigned', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    await witness.submit(0, new Numbers(5));
    const trees = Array.from({ length: 16 }, (_, i) => new Numbers(6 + i, 5 + (i % 5)));
    const answers = await Promise.all(trees.map((tree) => witness.submit(5, tree)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ status }) => status === 409).length, 15);
  });

  test('cosigns nothing when what it remembered is damaged', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    await witness.submit(0, new Numbers(5));
    const seen = join(witness.state, 'seen');
    for (const name of readdirSync(seen)) writeFileSync(join(seen, name), 'not a note');
    assert.equal((await witness.submit(0, new Numbers(9, 2))).status, 500);
  });

  test('remembers a bounded number of origins, and goes on with those it has', async (t) => {
    const witness = await witnessAt(undefined, { maxOrigins: 2 });
    t.after(() => witness.close());
    const submit = (origin: string, old: number, tree: Numbers) => witness.submit(old, tree, tree.note(origin));
    assert.equal((await submit('test/a/1', 0, new Numbers(1))).status, 200);
    assert.equal((await submit('test/b/1', 0, new Numbers(1))).status, 200);
    assert.equal((await submit('test/c/1', 0, new Numbers(1))).status, 507);
    assert.equal((await submit('test/a/1', 1, new Numbers(2))).status, 200);
  });

  test('an empty tree is cosigned and grown from; one with another root is not', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    const empty = (root: Uint8Array) => signNote(checkpointText({ origin: ORIGIN, size: 0, root }), log);
    const submit = (note: string) => witness.post(submissionText({ old: 0, proof: [], note }));
    assert.equal((await submit(empty(Buffer.alloc(32)))).status, 422);
    assert.equal((await submit(empty(EMPTY_ROOT))).status, 200);
    assert.equal((await witness.submit(0, new Numbers(2))).status, 200);
  });

  test('has one process only, a key nobody else reads, and never replaces it', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    await assert.rejects(witnessAt(witness.state), { code: 'audit.locked' });
    assert.equal(statSync(join(folder, 'key')).mode & 0o777, 0o600);
    assert.throws(() => newWitnessKey('another', join(folder, 'key')), { code: 'EEXIST' });
    await assert.rejects(witnessAt(undefined, { keyText: keyText().replace('+w', '+x').replace('w1', 'w2') }));
  });

  test('tells people who it is, and strangers nothing else', async (t) => {
    const witness = await witnessAt();
    t.after(() => witness.close());
    assert.ok((await (await fetch(witness.url)).text()).includes(publicLine));
    assert.equal((await witness.post('x', '/other')).status, 404);
    assert.equal((await fetch(`${witness.url}/add-checkpoint`)).status, 405);
  });
});
