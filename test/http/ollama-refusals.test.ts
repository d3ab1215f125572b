/** What Ollama's API refuses, with which words, and to whom. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { refusal } from '../fakes/service.ts';
import { harness, user } from './harness.ts';
import { CHAT, GENERATE, linesOf, write } from './ollama-asking.ts';

const TOKEN = 'a-token-of-enough-characters';

describe('what is refused', () => {
  const cases: readonly (readonly [words: RegExp, path: string, fields: object])[] = [
    [/^"suffix" is not supported/, GENERATE, { suffix: 'x' }],
    [/^"template" is not supported/, GENERATE, { template: '{{ .Prompt }}' }],
    [/^"context" is not supported/, GENERATE, { context: [1, 2] }],
    [/^"images" is not supported/, GENERATE, { images: ['AAAA'] }],
    [/^"think" is not supported/, GENERATE, { think: 'high' }],
    [/^"width" is not a field/, GENERATE, { width: 64 }],
    [/^"system" needs the template/, GENERATE, { raw: true, system: 'x' }],
    [/^"options\.mirostat" is not supported/, GENERATE, { options: { mirostat: 2 } }],
    [/^"options\.typical_p" is not supported/, GENERATE, { options: { typical_p: 0.5 } }],
    [/^"options\.repeat_last_n" is not supported/, GENERATE, { options: { repeat_last_n: 8 } }],
    [
      /^"options\.temprature" is not a field of this request\. Did you mean "temperature"/,
      GENERATE,
      { options: { temprature: 1 } },
    ],
    [/^"options\.num_predict" is 0/, GENERATE, { options: { num_predict: 0 } }],
    [/^"options\.temperature" must be at least 0/, GENERATE, { options: { temperature: -1 } }],
    [/^"keep_alive" is no duration/, GENERATE, { keep_alive: '5 minutes' }],
    [/^"format"/, GENERATE, { format: 'xml' }],
    [/^"tools" is not supported: experts do not call tools/, CHAT, { messages: user('x'), tools: [{}] }],
    [/^"messages\[0\]\.role" "tool"/, CHAT, { messages: [{ role: 'tool', content: 'x' }] }],
    [/^"messages\[0\]\.images"/, CHAT, { messages: [{ role: 'user', content: 'x', images: ['AAAA'] }] }],
    [/holds no message with the role "user"/, CHAT, { messages: [{ role: 'system', content: 'x' }] }],
    [
      /^a JSON schema in "format" cannot be kept: "lang-id" is no language model/,
      GENERATE,
      { model: 'lang-id', format: {} },
    ],
  ];
  for (const [words, path, fields] of cases) {
    test(`${path} ${JSON.stringify(fields)}`, async () => {
      const { service, post } = harness();
      const reply = await post(path, {
        model: 'writer',
        ...(path === GENERATE ? { prompt: 'x' } : {}),
        ...fields,
      });
      assert.equal(reply.statusCode, 400, reply.body);
      assert.match(reply.json().error, words);
      assert.equal(service.asked.length, 0);
    });
  }

  test('a model that nobody installed is 404, in the words that clients look for', async () => {
    for (const path of [GENERATE, CHAT, '/api/embed', '/api/show']) {
      const reply = await harness().post(path, { model: 'lang-ir:latest' });
      assert.equal(reply.statusCode, 404);
      assert.match(reply.json().error, /^model "lang-ir:latest" not found\. Did you mean "lang-id"\?/);
    }
  });

  test('what changes models is 501, with the way it is done here', async () => {
    const { server } = harness();
    const cases = [
      ['POST', '/api/pull', /expertd add FOLDER/],
      ['POST', '/api/push', /copy it/],
      ['POST', '/api/create', /expertd add FOLDER/],
      ['POST', '/api/copy', /another id/],
      ['DELETE', '/api/delete', /expertd remove ID/],
      ['POST', '/api/blobs/sha256:ab', /expertd add FOLDER/],
    ] as const;
    for (const [method, url, words] of cases) {
      const headers = { host: '127.0.0.1', 'content-type': 'application/json' };
      const reply = await server.app.inject({ method, url, headers, payload: '{"model":"x"}' });
      assert.equal(reply.statusCode, 501, url);
      assert.match(reply.json().error, words);
    }
    const head = await server.app.inject({
      method: 'HEAD',
      url: '/api/blobs/x',
      headers: { host: '127.0.0.1' },
    });
    assert.equal(head.statusCode, 501);
  });

  test('a full queue is 429, an expert on its way 503 with how far it is', async () => {
    const { service, post } = harness();
    service.failures.push(refusal('queue_full'));
    assert.equal((await post(GENERATE, write)).statusCode, 429);
    const failure = { code: 'loading', message: 'writer is being loaded', hint: null, retryable: true };
    const loading = { state: 'loading', progress: 0.5, etaSeconds: 2 } as const;
    service.failures.push(refusal('loading', { failure, retryAfterMs: 2_000, loading }));
    const reply = await post(GENERATE, write);
    assert.deepEqual([reply.statusCode, reply.headers['retry-after']], [503, '2']);
    assert.deepEqual(reply.json(), {
      error: 'writer is being loaded',
      code: 'loading',
      decision: 41,
      loading: { state: 'loading', progress: 0.5, eta_seconds: 2 },
    });
  });

  test('what breaks off ends with a line that is an error', async () => {
    const { service, post, logged } = harness();
    service.betweenPieces = async (index) => {
      if (index === 1) throw refusal('cell_exited');
    };
    const reply = await post(GENERATE, write);
    const lines = linesOf(reply.body);
    assert.equal(reply.statusCode, 200);
    assert.deepEqual([lines.length, lines.at(-1).code, 'done' in lines.at(-1)], [3, 'cell_exited', false]);
    assert.equal(logged.length, 1);
  });

  test('paths and methods that are none are errors in the same form', async () => {
    const { get } = harness();
    assert.match((await get('/api/tag')).json().error, /\/api\/tags/);
    assert.deepEqual(
      [(await get(GENERATE)).statusCode, typeof (await get(GENERATE)).json().error],
      [405, 'string'],
    );
  });
});

describe('who may call', () => {
  const PATHS = ['/api/tags', '/api/ps', '/api/version'] as const;

  test('who has the token, where there is one', async () => {
    const { get, post } = harness({ token: TOKEN });
    const authorization = { authorization: `Bearer ${TOKEN}` };
    for (const path of PATHS) {
      assert.equal((await get(path)).statusCode, 401, path);
      assert.equal((await get(path, authorization)).statusCode, 200, path);
    }
    for (const [path, body] of [
      [GENERATE, write],
      [CHAT, { model: 'writer', messages: user('write') }],
      ['/api/embed', { model: 'embedder', input: 'x' }],
      ['/api/show', { model: 'writer' }],
      ['/v1/completions', write],
    ] as const) {
      assert.equal((await post(path, body)).statusCode, 401, path);
      assert.equal((await post(path, body, authorization)).statusCode, 200, path);
    }
    assert.equal((await post('/api/pull', {})).statusCode, 401);
  });

  test('by a name of ours, and from no page of somebody else', async () => {
    const { get, post, service } = harness();
    assert.equal((await get('/api/tags', { host: 'evil.example' })).statusCode, 403);
    // A form can send JSON as text without asking first.
    const form = { origin: 'https://evil.example', 'content-type': 'text/plain' };
    assert.equal((await post(GENERATE, JSON.stringify(write), form)).statusCode, 403);
    assert.equal(service.asked.length, 0);
  });
});
