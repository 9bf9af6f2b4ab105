import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OAuthFault } from './fault.ts';
import { reply, type World, world } from './fixture.test.ts';
import { GuardedHttp, judgeUrl, placeOf } from './guarded-http.ts';

const code = (value: unknown) => (value instanceof OAuthFault ? value.code : 'good');
const none: ReadonlySet<string> = new Set();

describe('what can be said of a URL before DNS', () => {
  test('clear text stays on this machine, and only where the settings reach that far', () => {
    for (const url of [
      'http://as.example/x',
      'http://10.0.0.1/',
      'http://[fd00::1]/',
      'ftp://as.example',
      'file:///etc',
    ])
      assert.equal(code(judgeUrl(URL.parse(url), 'loopback', none)), 'blocked', url);
    for (const url of ['http://localhost:1/', 'http://127.0.0.1/', 'http://[::1]/']) {
      assert.equal(judgeUrl(URL.parse(url), 'loopback', none), null, url);
      assert.equal(code(judgeUrl(URL.parse(url), 'private', none)), 'blocked', url);
    }
  });

  test('addresses in every spelling are judged as what they are', () => {
    for (const host of ['127.0.0.1', '0x7f.1', '2130706433', '127.1', '[::ffff:127.0.0.1]', '169.254.169.254', '0'])
      assert.equal(code(judgeUrl(URL.parse(`https://${host}/`), 'public', none)), 'blocked', host);
    for (const host of ['169.254.169.254', '[::ffff:a9fe:a9fe]', '0.0.0.0'])
      assert.equal(code(judgeUrl(URL.parse(`https://${host}/`), 'loopback', none)), 'blocked', host);
    assert.equal(judgeUrl(URL.parse('https://10.0.0.1/'), 'private', none), null);
    assert.equal(judgeUrl(URL.parse('https://1.1.1.1/'), 'public', none), null);
  });

  test('an origin the operator named passes; credentials in a URL never do', () => {
    const named = new Set(['https://10.0.0.1:8443']);
    assert.equal(judgeUrl(URL.parse('https://10.0.0.1:8443/x'), 'public', named), null);
    assert.equal(code(judgeUrl(URL.parse('https://10.0.0.1/x'), 'public', named)), 'blocked');
    assert.equal(code(judgeUrl(URL.parse('https://u:p@10.0.0.1:8443/x'), 'public', named)), 'blocked');
    assert.equal(code(judgeUrl(null, 'public', named)), 'blocked');
  });

  test('a place in a log has no query', () => {
    assert.equal(placeOf('https://as.example/cb?code=secret#x'), 'https://as.example/cb');
  });
});

describe('asking', () => {
  let at: World;
  let named: GuardedHttp;
  let guarded: GuardedHttp;
  before(async () => {
    at = await world();
    named = new GuardedHttp({ reach: 'public', named: [at.url] });
    guarded = new GuardedHttp({ reach: 'public', named: ['https://as.example'] });
  });
  after(async () => {
    at.close();
    await named.close();
    await guarded.close();
  });

  test('a name that leads to this machine is refused when it is connected to, not only when it is read', async () => {
    const port = new URL(at.url).port;
    const before = at.asked.length;
    // https to a name: only DNS tells where it leads.
    const answer = await guarded.getJson(`https://localhost:${port}/x`);
    assert.equal(code(answer), 'blocked');
    assert.match((answer as OAuthFault).evidence, /has an address that may not be reached/);
    assert.equal(at.asked.length, before);
  });

  test('a redirect is a new URL: what may not be asked may not be redirected to', async () => {
    for (const [path, location] of [
      ['/to-cloud', 'https://169.254.169.254/latest'],
      ['/to-clear', 'http://as.example/'],
      ['/to-port', `http://127.0.0.1:1/`],
      ['/to-file', 'file:///etc/passwd'],
    ] as const) {
      at.paths.set(path, (res) => reply(res, 302, {}, { location }));
      assert.equal(code(await named.getJson(at.url + path)), 'blocked', location);
    }
  });

  test('redirects are followed a few times, and never with what was posted', async () => {
    at.paths.set('/once', (res) => reply(res, 302, {}, { location: '/here' }));
    at.paths.set('/here', (res) => reply(res, 200, { a: 1 }));
    at.paths.set('/round', (res) => reply(res, 307, {}, { location: '/round' }));
    assert.deepEqual(await named.getJson(`${at.url}/once`), { status: 200, json: { a: 1 } });
    assert.equal(code(await named.getJson(`${at.url}/round`)), 'blocked');
    const posted = await named.fetch(`${at.url}/once`, { method: 'POST', headers: {}, body: 'client_secret=x' });
    assert.equal(posted.status, 302);
    assert.equal(at.asked.at(-1)!.path, '/once');
  });

  test('an answer without end is cut; what is no JSON is nothing', async () => {
    at.paths.set('/big', (res) => {
      const more = () => {
        while (res.write('x'.repeat(65_536)));
      };
      res.on('drain', more);
      more();
    });
    at.paths.set('/text', (res) => res.end('hello'));
    assert.equal(code(await named.getJson(`${at.url}/big`)), 'metadata');
    assert.deepEqual(await named.getJson(`${at.url}/text`), { status: 200, json: undefined });
  });

  test('what cannot be reached is said without a query', async () => {
    const fault = await named.getJson(`${at.url}1/x?secret=1`);
    assert.ok(fault instanceof OAuthFault);
    assert.doesNotMatch(fault.evidence, /secret/);
  });
});
