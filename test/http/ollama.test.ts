/** Ollama's API as bodies: `/api/generate` and `/api/chat`, which also load and unload. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AS_MADE, type Generation } from '../../agent/generation.ts';
import { refusal, said, saidToken } from '../fakes/service.ts';
import { harness, user } from './harness.ts';
import { CHAT, GENERATE, linesOf, write } from './ollama-asking.ts';

/** Prompts are cut where they are too long, as Ollama's clients expect. */
const DEFAULTS: Generation = { ...AS_MADE, overflow: 'truncate' };

async function asked(fields: object, path = GENERATE) {
  const { service, post } = harness();
  const reply = await post(path, fields);
  assert.equal(reply.statusCode, 200, reply.body);
  const [first] = service.asked;
  assert.ok(first?.ask.kind === 'chat');
  return { ...first, ask: first.ask };
}

describe('/api/generate', () => {
  test('streams lines of JSON unless told otherwise', async () => {
    const { post } = harness();
    const reply = await post(GENERATE, write);
    assert.equal(reply.headers['content-type'], 'application/x-ndjson');
    assert.equal(reply.headers['x-expertd-expert'], 'writer');
    const lines = linesOf(reply.body);
    assert.deepEqual(
      lines.map(({ response, done }) => [response, done]),
      [
        ['Hel', false],
        ['lo ', false],
        ['you', false],
        ['', true],
      ],
    );
    for (const { model, created_at } of lines) {
      assert.equal(model, 'writer');
      assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
    }
    const last = lines.at(-1);
    assert.deepEqual([last.done_reason, last.prompt_eval_count, last.eval_count], ['stop', 7, 3]);
    assert.deepEqual([last.prompt_eval_duration, last.eval_duration], [500_000, 1_000_000]);
    assert.ok(Number.isInteger(last.total_duration) && last.total_duration > 0);
    assert.equal(last.expertd.expert, 'writer');
  });

  test('answers in one object where it is asked to', async () => {
    const { post } = harness();
    const body = (await post(GENERATE, { ...write, stream: false })).json();
    assert.deepEqual(
      [body.response, body.done, body.done_reason, body.eval_count],
      ['Hello you', true, 'stop', 3],
    );
  });

  test('counts of 0 are left out: clients divide by them', async () => {
    const { post } = harness();
    const body = (await post(GENERATE, { model: 'lang-id', prompt: 'hola', stream: false })).json();
    assert.deepEqual([body.response, body.prompt_eval_count], ['Spanish (es), 97 %', 9]);
    assert.equal('eval_count' in body, false);
  });

  test('an answer that comes whole is a line before the last', async () => {
    const { post } = harness();
    const lines = linesOf((await post(GENERATE, { model: 'lang-id', prompt: 'hola' })).body);
    assert.deepEqual(
      lines.map(({ response, done }) => [response, done]),
      [
        ['Spanish (es), 97 %', false],
        ['', true],
      ],
    );
  });

  test('"system" comes before the prompt; "raw" goes past the template', async () => {
    const templated = await asked({ ...write, system: 'Be brief.' });
    assert.deepEqual(templated.ask.messages, [{ role: 'system', content: 'Be brief.' }, ...user('write')]);
    assert.equal(templated.ask.raw, null);
    const raw = await asked({ ...write, raw: true });
    assert.deepEqual([raw.ask.messages, raw.ask.raw, raw.ask.question], [[], 'write', 'write']);
  });

  test('options become what a language model is told', async () => {
    const options = {
      temperature: 0.8,
      top_k: 40,
      top_p: 0.9,
      min_p: 0.05,
      seed: 42,
      num_predict: 100,
      stop: ['\n', 'user:'],
      repeat_penalty: 1.1,
      presence_penalty: 1.5,
      frequency_penalty: 1,
      // What tunes the runtime is taken and does nothing.
      num_ctx: 4_096,
      num_thread: 8,
      num_gpu: 1,
      repeat_last_n: 64,
      mirostat: 0,
    };
    const { ask } = await asked({ ...write, options });
    assert.deepEqual(ask.generation, {
      ...DEFAULTS,
      temperature: 0.8,
      topK: 40,
      topP: 0.9,
      minP: 0.05,
      seed: 42,
      maxTokens: 100,
      stop: ['\n', 'user:'],
      repeatPenalty: 1.1,
      presencePenalty: 1.5,
      frequencyPenalty: 1,
    });
    const free = await asked({ ...write, options: { num_predict: -1, seed: -1 } });
    assert.deepEqual(free.ask.generation, DEFAULTS);
    assert.equal((await asked({ ...write, truncate: false })).ask.generation.overflow, 'refuse');
  });

  test('"format" is JSON, or a schema', async () => {
    const schema = { type: 'object' };
    const formatOf = async (format: unknown) => (await asked({ ...write, format })).ask.generation.format;
    assert.deepEqual(await formatOf('json'), { kind: 'json-object' });
    assert.deepEqual(await formatOf(schema), { kind: 'json-schema', schema: JSON.stringify(schema) });
    for (const nothing of ['', null]) assert.deepEqual(await formatOf(nothing), { kind: 'text' });
  });

  test('log probabilities stand beside the text', async () => {
    const { service, post } = harness();
    const token = saidToken('Hello', -0.5);
    service.answerOf = () => said('Hello', [token]);
    service.pieces = [{ text: 'Hello', tokens: [token] }];
    const body = { ...write, logprobs: true, top_logprobs: 1 };
    const entry = {
      token: 'Hello',
      logprob: -0.5,
      bytes: [...Buffer.from('Hello')],
      top_logprobs: [{ token: 'other', logprob: -3, bytes: [...Buffer.from('other')] }],
    };
    assert.deepEqual((await post(GENERATE, { ...body, stream: false })).json().logprobs, [entry]);
    const lines = linesOf((await post(GENERATE, body)).body);
    assert.deepEqual(
      lines.map(({ logprobs }) => logprobs),
      [[entry], undefined],
    );
  });

  test('takes JSON under any content type: curl -d says it is a form', async () => {
    const { post } = harness();
    for (const type of ['application/x-www-form-urlencoded', 'text/plain']) {
      const reply = await post(GENERATE, JSON.stringify({ ...write, stream: false }), {
        'content-type': type,
      });
      assert.equal(reply.statusCode, 200, type);
    }
  });
});

describe('/api/chat', () => {
  test('answers a conversation', async () => {
    const { post, service } = harness();
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'write', images: [] },
      { role: 'assistant', content: 'Hi', thinking: 'hm', tool_calls: [] },
      ...user('write more'),
    ];
    const reply = await post(CHAT, {
      model: 'writer:latest',
      messages,
      stream: false,
      tools: [],
      think: false,
    });
    const body = reply.json();
    assert.deepEqual(
      [body.model, body.message],
      ['writer:latest', { role: 'assistant', content: 'Hello you' }],
    );
    const ask = service.asked[0]?.ask;
    assert.ok(ask?.kind === 'chat');
    assert.deepEqual([ask.messages.length, ask.question], [4, 'write more']);
  });

  test('"auto" routes, and the name that comes back is the expert’s', async () => {
    const { post } = harness();
    const lines = linesOf((await post(CHAT, { model: 'auto:latest', messages: user('write') })).body);
    assert.deepEqual([...new Set(lines.map(({ model }) => model))], ['writer']);
    const none = await post(CHAT, { model: 'auto', messages: user('asdf'), stream: false });
    assert.match(none.json().message.content, /No installed expert is confident/);
  });
});

describe('a request without a question', () => {
  const empty: readonly (readonly [path: string, body: object])[] = [
    [GENERATE, {}],
    [GENERATE, { prompt: '' }],
    [CHAT, {}],
    [CHAT, { messages: [] }],
  ];
  for (const [path, body] of empty) {
    test(`loads and unloads: ${path} ${JSON.stringify(body)}`, async () => {
      const { service, post } = harness();
      const loaded = await post(path, { model: 'writer', keep_alive: '10m', ...body });
      assert.match(String(loaded.headers['content-type']), /^application\/json/);
      assert.deepEqual([loaded.json().done, loaded.json().done_reason], [true, 'load']);
      const [request] = service.asked;
      assert.deepEqual([request?.want, request?.model, request?.keepAliveMs], ['load', 'writer', 600_000]);
      const unloaded = await post(path, { model: 'writer', keep_alive: 0, ...body });
      assert.equal(unloaded.json().done_reason, 'unload');
      assert.deepEqual([service.commands, service.asked.length], [['unload writer'], 1]);
      const text = path === CHAT ? loaded.json().message.content : loaded.json().response;
      assert.equal(text, '');
    });
  }

  test('has nothing to do for "auto"', async () => {
    const { service, post } = harness();
    for (const [keep_alive, reason] of [
      ['5m', 'load'],
      [0, 'unload'],
    ]) {
      const reply = await post(GENERATE, { model: 'auto', keep_alive });
      assert.equal(reply.json().done_reason, reason);
    }
    assert.deepEqual([service.asked.length, service.commands.length], [0, 0]);
  });

  test('is not counted as work', async () => {
    const { get, post } = harness();
    await post(GENERATE, { model: 'writer' });
    assert.doesNotMatch((await get('/metrics')).body, /gen_ai_server_request_duration_seconds_count\{/);
  });

  test('that cannot be granted says why', async () => {
    const { service, post } = harness();
    service.failures.push(refusal('too_large'));
    assert.equal((await post(GENERATE, { model: 'writer' })).statusCode, 413);
  });
});
