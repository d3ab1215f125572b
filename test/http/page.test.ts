/** The page as files: who gets it, with which headers, how large it is. What it does is tested in a browser (test/e2e). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SOURCES } from '../../agent/http/page/sources.ts';
import { harness } from './harness.ts';

const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
const TOKEN = 'a-token-of-enough-characters';
const MAX_BYTES = 60_000;

describe('/', () => {
  test('is the page to browsers and a line to everything else', async () => {
    const { get, server } = harness();
    const page = await get('/', BROWSER);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.match(page.body, /<title>expertd<\/title>/);
    for (const accept of ['*/*', 'application/json', 'text/htmlx', '']) {
      const line = await get('/', { accept });
      assert.deepEqual([line.statusCode, line.body], [200, 'Ollama is running'], accept);
      assert.equal(line.headers['vary'], 'accept');
    }
    const head = await server.app.inject({ method: 'HEAD', url: '/', headers: { host: 'localhost' } });
    assert.deepEqual([head.statusCode, head.body], [200, '']);
  });

  test('needs no token, and neither do its files; nothing else is open', async () => {
    const { get } = harness({ token: TOKEN });
    for (const path of ['/', '/page/main.mjs', '/page/page.css'])
      assert.equal((await get(path, BROWSER)).statusCode, 200, path);
    for (const path of ['/expertd/v1/state', '/expertd/v1/events', '/page', '/page/', '/page/a/b'])
      assert.notEqual((await get(path, BROWSER)).statusCode, 200, path);
    assert.equal((await get('/', { ...BROWSER, host: 'evil.example' })).statusCode, 403);
  });

  test('lets nothing in: no inline code, no other host, no frame', async () => {
    const { headers, body } = await harness().get('/', BROWSER);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.match(policy, /require-trusted-types-for 'script'/);
    assert.doesNotMatch(policy, /unsafe|\*|http|data:/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.doesNotMatch(body, /<script(?![^>]* src=)|<style| style=| on[a-z]+=/);
  });
});

describe('its files', () => {
  test('have their types, and are not sent again to who has them', async () => {
    const { get } = harness();
    for (const [name, type] of [
      ['main.mjs', 'text/javascript; charset=utf-8'],
      ['page.css', 'text/css; charset=utf-8'],
      ['icon.svg', 'image/svg+xml'],
    ] as const) {
      const file = await get(`/page/${name}`);
      assert.deepEqual([file.headers['content-type'], file.body], [type, SOURCES[name]], name);
      const again = await get(`/page/${name}`, { 'if-none-match': String(file.headers['etag']) });
      assert.deepEqual([again.statusCode, again.body], [304, ''], name);
    }
  });

  test('are all that can be asked for', async () => {
    const { get } = harness();
    for (const name of ['nothing.mjs', 'tsconfig.json', '..%2Fpage.ts', '__proto__', 'constructor'])
      assert.equal((await get(`/page/${name}`)).statusCode, 404, name);
  });

  test(`are less than ${MAX_BYTES} bytes in all, and name no other host`, () => {
    const bytes = Object.values(SOURCES).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    assert.ok(bytes < MAX_BYTES, `${bytes} bytes`);
    for (const [name, text] of Object.entries(SOURCES)) {
      const hosts = text.match(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]+/gi) ?? [];
      assert.deepEqual(
        hosts.filter((host) => host !== 'http://www.w3.org'),
        [],
        name,
      );
    }
  });

  test('reach each other: every import and every link is served', () => {
    for (const [name, text] of Object.entries(SOURCES)) {
      const linked = [...text.matchAll(/(?:from '\.\/|(?:src|href)="page\/)([\w.-]+)/g)].map(
        ([, file]) => file ?? '',
      );
      for (const file of linked) assert.ok(Object.hasOwn(SOURCES, file), `${name} wants ${file}`);
    }
  });
});
