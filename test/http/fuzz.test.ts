/** Whatever a client sends, the answer is a 2xx or a 4xx in our shape, and comes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { harness } from './harness.ts';

const { server, post, get, logged } = harness();
const RUNS = { numRuns: 500 };

const chatKeys = fc.constantFrom(
  'model',
  'messages',
  'stream',
  'stream_options',
  'temperature',
  'stop',
  'seed',
  'response_format',
  'tools',
  'n',
  'metadata',
  'input',
  'encoding_format',
  'max_tokens',
  'prompt',
  'suffix',
  'echo',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'top_p',
  'keep_alive',
  'truncation',
  'options',
  'format',
  'raw',
  'system',
  'name',
);
const message = fc.record(
  {
    role: fc.oneof(fc.constantFrom('user', 'system', 'assistant', 'tool'), fc.jsonValue()),
    content: fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.array(fc.record({ type: fc.constantFrom('text', 'image_url'), text: fc.string() })),
      fc.jsonValue(),
    ),
    name: fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const value = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom('auto', 'lang-id', 'writer', 'writer:latest', true, 1, 'json', '5m', -1),
  fc.record({ type: fc.constantFrom('json_object', 'json_schema', 'object'), json_schema: fc.jsonValue() }),
  fc.dictionary(
    fc.constantFrom('temperature', 'num_predict', 'stop', 'seed', 'num_ctx', 'top_k', '50256', 'schema'),
    fc.oneof(fc.integer(), fc.jsonValue()),
  ),
  fc.array(message, { maxLength: 3 }),
);
const body = fc.oneof(
  { weight: 3, arbitrary: fc.dictionary(chatKeys, value) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.dictionary(chatKeys, value), fc.array(message, { minLength: 1, maxLength: 3 }))
      .map(([rest, messages]) => ({ ...rest, model: 'auto', messages })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.dictionary(chatKeys, value), fc.string({ unit: 'binary' }))
      .map(([rest, prompt]) => ({ ...rest, model: 'writer', prompt })),
  },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const path = fc.constantFrom(
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/api/generate',
  '/api/chat',
  '/api/embed',
  '/api/embeddings',
  '/api/show',
  '/expertd/v1/route',
  '/expertd/v1/experts/medical/pin',
);

/** `url` says whose form errors have. */
function holds(reply: { statusCode: number; body: string }, url = ''): void {
  assert.ok(reply.statusCode >= 200 && reply.statusCode < 500, `${reply.statusCode} ${reply.body}`);
  if (reply.statusCode < 400) return;
  const { error } = JSON.parse(reply.body);
  if (url.startsWith('/api/')) {
    assert.ok(typeof error === 'string' && error.length > 0 && error.length < 1_000, error);
    return;
  }
  assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
  assert.ok(error.message.length > 0 && error.message.length < 1_000, error.message);
}

test('JSON of any shape', async () => {
  await fc.assert(
    fc.asyncProperty(path, body, async (url, json) => {
      holds(await post(url, JSON.stringify(json), { 'content-type': 'application/json' }), url);
    }),
    RUNS,
  );
  assert.deepEqual(logged, []);
});

test('bytes of any kind', async () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  await fc.assert(
    fc.asyncProperty(path, bytes, async (url, payload) => {
      holds(await post(url, payload, { 'content-type': 'application/json' }), url);
    }),
    RUNS,
  );
});

test('paths and queries of any kind', async () => {
  const segment = fc.oneof(
    fc.string(),
    fc.constantFrom('v1', 'models', 'expertd', 'decisions', 'experts', '%2e%2e', '%'),
  );
  const safe = (text: string) => text.replace(/[^\x21-\x7e]|#/g, '');
  const url = fc
    .tuple(fc.array(segment, { maxLength: 5 }), fc.string())
    .map(([parts, query]) => `/${parts.map(safe).join('/')}?${safe(query)}`)
    // `inject` parses the URL where a socket would pass it on as it is.
    .filter((path) => URL.canParse(path, 'http://localhost'));
  await fc.assert(
    fc.asyncProperty(url, async (path) => {
      holds(await get(path));
    }),
    RUNS,
  );
});

test('headers of any kind', async () => {
  const text = fc.string().map((string) => string.replace(/[^\x20-\x7e]/g, ''));
  const headers = fc.record(
    { host: text, authorization: text, origin: text, 'content-type': text },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(headers, async (given) => {
      const payload = '{"model":"auto"}';
      holds(await server.app.inject({ method: 'POST', url: '/v1/embeddings', headers: given, payload }));
    }),
    RUNS,
  );
});
