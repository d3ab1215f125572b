/** Chat, embeddings and models as bodies and headers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AS_MADE } from '../../agent/generation.ts';
import { expertView, refusal } from '../fakes/service.ts';
import { harness, user } from './harness.ts';

const CHAT = '/v1/chat/completions';

describe('a chat completion', () => {
  test('is routed by "auto", says who answered and puts a label into words', async () => {
    const { service, post } = harness();
    const reply = await post(CHAT, {
      model: 'auto',
      messages: user('in which language is this: ¿dónde está el gato?'),
    });
    assert.equal(reply.statusCode, 200);
    const body = reply.json();
    assert.equal(body.model, 'lang-id');
    assert.equal(body.choices[0].message.content, 'Spanish (es), 97 %');
    assert.equal(body.choices[0].finish_reason, 'stop');
    assert.deepEqual(body.usage, {
      prompt_tokens: 9,
      completion_tokens: 0,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 0 },
    });
    assert.equal(reply.headers['x-expertd-decision'], '42');
    assert.equal(reply.headers['x-expertd-expert'], 'lang-id');
    assert.equal(reply.headers['x-expertd-confidence'], '0.870');
    assert.equal(reply.headers['x-expertd-residency'], 'absent');
    assert.equal(reply.headers['x-expertd-abstained'], undefined);
    assert.equal(service.asked[0]?.model, null);
    assert.deepEqual(service.asked[0]?.ask, {
      kind: 'chat',
      messages: user('in which language is this: ¿dónde está el gato?'),
      question: 'in which language is this',
      focus: '¿dónde está el gato?',
      embedding: null,
      raw: null,
      generation: AS_MADE,
    });
  });

  test('of a named model bypasses the router', async () => {
    const { service, post } = harness();
    const reply = await post(CHAT, { model: 'medical', messages: user('in which language is this?') });
    assert.equal(reply.json().model, 'medical');
    assert.equal(service.asked[0]?.model, 'medical');
  });

  test('passes on parts, roles, limits and stops', async () => {
    const { service, post } = harness();
    const parts = [
      { type: 'text', text: 'write' },
      { type: 'text', text: 'a poem' },
    ];
    const messages = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'assistant', content: null, refusal: null, tool_calls: [] },
      { role: 'user', content: parts, name: 'ada' },
    ];
    const limits = { max_tokens: 5, max_completion_tokens: 7, temperature: 0.2, seed: 3, stop: '\n' };
    const reply = await post(CHAT, { model: 'writer', messages, ...limits });
    assert.equal(reply.statusCode, 200, reply.body);
    const ask = service.asked[0]?.ask;
    assert.ok(ask?.kind === 'chat');
    assert.deepEqual(ask.messages, [
      { role: 'system', content: 'Be brief.' },
      { role: 'assistant', content: '' },
      { role: 'user', content: 'write\na poem' },
    ]);
    assert.deepEqual(ask.generation, { ...AS_MADE, maxTokens: 7, temperature: 0.2, seed: 3, stop: ['\n'] });
  });

  test('as JSON has label, score and alternatives', async () => {
    const { post } = harness();
    const response_format = { type: 'json_object' };
    const reply = await post(CHAT, { model: 'lang-id', messages: user('hola'), response_format });
    assert.deepEqual(JSON.parse(reply.json().choices[0].message.content), {
      label: 'es',
      score: 0.97,
      alternatives: [{ label: 'gl', score: 0.02 }],
    });
  });

  test('of passages has their sources', async () => {
    const { post } = harness();
    const reply = await post(CHAT, { model: 'auto', messages: user('what is tachycardia?') });
    const text = 'tachycardia: A heart rate above 100 beats per minute.\n\nSource: Glossary';
    assert.equal(reply.json().choices[0].message.content, text);
  });

  test('abstains with 200 and lists what could have been asked', async () => {
    const { post } = harness();
    const reply = await post(CHAT, { model: 'auto', messages: user('asdf qwer zxcv') });
    assert.equal(reply.statusCode, 200);
    assert.equal(reply.headers['x-expertd-abstained'], 'true');
    assert.equal(reply.headers['x-expertd-expert'], undefined);
    const { message, finish_reason } = reply.json().choices[0];
    assert.match(message.content, /No installed expert is confident/);
    assert.match(message.content, /- medical: What medical does\./);
    assert.doesNotMatch(message.content, /embedder/);
    assert.equal(finish_reason, 'stop');
  });

  test('takes a prompt of 100,000 characters', async () => {
    const { service, post } = harness();
    const content = `write about ${'a"b: '.repeat(20_000)}`;
    const reply = await post(CHAT, { model: 'auto', messages: user(content) });
    assert.equal(reply.statusCode, 200);
    assert.equal(service.asked.length, 1);
  });
});

describe('a field that would have to be ignored', () => {
  const refused: readonly (readonly [field: string, value: unknown])[] = [
    ['tools', [{ type: 'function', function: { name: 'f' } }]],
    ['functions', [{ name: 'f' }]],
    ['n', 2],
    ['audio', { voice: 'x' }],
    ['store', true],
  ];
  for (const [field, value] of refused) {
    test(`${field} is refused by name`, async () => {
      const { service, post } = harness();
      const reply = await post(CHAT, { model: 'auto', messages: user('write'), [field]: value });
      assert.equal(reply.statusCode, 400);
      const { error } = reply.json();
      assert.deepEqual(
        [error.param, error.code, error.type],
        [field, 'unsupported_field', 'invalid_request_error'],
      );
      assert.match(error.message, new RegExp(field));
      assert.equal(service.asked.length, 0);
    });
  }

  test('is accepted where its value asks for nothing', async () => {
    const { post } = harness();
    const nothing = {
      tools: [],
      n: 1,
      top_p: 1,
      logprobs: false,
      store: false,
      user: 'ada',
      metadata: { a: 'b' },
      audio: null,
      stop: null,
      tool_choice: 'none',
    };
    const reply = await post(CHAT, { model: 'auto', messages: user('write'), ...nothing });
    assert.equal(reply.statusCode, 200, reply.body);
  });

  test('is named with its nearest where nobody knows it', async () => {
    const { post } = harness();
    const reply = await post(CHAT, { model: 'auto', messages: user('write'), temprature: 1 });
    const { error } = reply.json();
    assert.deepEqual([reply.statusCode, error.param, error.code], [400, 'temprature', 'unknown_field']);
    assert.match(error.message, /Did you mean "temperature"\?/);
  });
});

describe('bad input names the field', () => {
  const messages = user('hi');
  const cases: readonly (readonly [param: string | null, body: unknown])[] = [
    ['model', { messages }],
    ['model', { model: 7, messages }],
    ['messages', { model: 'auto' }],
    ['messages', { model: 'auto', messages: 'hi' }],
    ['messages', { model: 'auto', messages: [] }],
    ['messages', { model: 'auto', messages: [{ role: 'system', content: 'x' }] }],
    ['messages[0]', { model: 'auto', messages: ['hi'] }],
    ['messages[0].role', { model: 'auto', messages: [{ role: 'king', content: 'x' }] }],
    ['messages[0].role', { model: 'auto', messages: [{ role: 'tool', content: 'x' }] }],
    ['messages[0].content', { model: 'auto', messages: user(' \n') }],
    ['messages[0].content', { model: 'auto', messages: [{ role: 'user', content: 7 }] }],
    [
      'messages[0].content[0]',
      { model: 'auto', messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    ],
    [
      'messages[0].content[0].text',
      { model: 'auto', messages: [{ role: 'user', content: [{ type: 'text' }] }] },
    ],
    ['messages[0].colour', { model: 'auto', messages: [{ role: 'user', content: 'x', colour: 1 }] }],
    ['temperature', { model: 'auto', messages, temperature: 3 }],
    ['max_tokens', { model: 'auto', messages, max_tokens: 0 }],
    ['seed', { model: 'auto', messages, seed: 0.5 }],
    ['stop', { model: 'auto', messages, stop: 7 }],
    ['stream', { model: 'auto', messages, stream: 'yes' }],
    ['stream_options', { model: 'auto', messages, stream_options: { include_usage: true } }],
    ['response_format.type', { model: 'auto', messages, response_format: { type: 'xml' } }],
    [null, [1]],
    [null, '"text"'],
  ];
  for (const [param, body] of cases) {
    test(`${param ?? 'the body'}: ${JSON.stringify(body).slice(0, 90)}`, async () => {
      const { service, post } = harness();
      const reply = await post(CHAT, body, { 'content-type': 'application/json' });
      assert.equal(reply.statusCode, 400, reply.body);
      assert.equal(reply.json().error.param, param);
      assert.equal(service.asked.length, 0);
    });
  }

  test('a missing model names the one that always works', async () => {
    const { post } = harness();
    const reply = await post(CHAT, { messages });
    assert.match(reply.json().error.message, /"auto"/);
  });
});

describe('refusals of the core', () => {
  const cases: readonly (readonly [code: string, status: number])[] = [
    ['queue_full', 429],
    ['loading', 503],
    ['fetching', 503],
    ['pressure', 503],
    ['all_pinned', 409],
    ['too_large', 413],
    ['wrong_task', 400],
    ['run_failed', 500],
    ['deadline', 504],
    ['shutting_down', 503],
    ['a_code_nobody_listed', 500],
  ];
  for (const [code, status] of cases) {
    test(`${code} is ${status}`, async () => {
      const { service, post } = harness();
      service.failures.push(refusal(code));
      const reply = await post(CHAT, { model: 'auto', messages: user('write') });
      assert.equal(reply.statusCode, status);
      assert.equal(reply.json().error.code, code);
      assert.equal(reply.headers['x-expertd-decision'], '41');
      assert.equal(reply.headers['x-should-retry'], 'false');
    });
  }

  test('loading says when to come back and how far it is', async () => {
    const { service, post } = harness();
    const loading = { state: 'loading', progress: 0.5, etaSeconds: 2.5 } as const;
    const failure = { code: 'loading', message: 'not ready', hint: null, retryable: true };
    service.failures.push(refusal('loading', { failure, retryAfterMs: 2_500, loading }));
    const reply = await post(CHAT, { model: 'auto', messages: user('write') });
    assert.equal(reply.headers['retry-after'], '3');
    assert.equal(reply.headers['x-should-retry'], 'true');
    assert.deepEqual(reply.json().loading, { state: 'loading', progress: 0.5, eta_seconds: 2.5 });
  });

  test('an unknown model is 404 with the nearest names', async () => {
    const { post } = harness();
    for (const model of ['lang-ir', 'lang-id:latest']) {
      const reply = await post(CHAT, { model, messages: user('write') });
      const { error } = reply.json();
      assert.deepEqual([reply.statusCode, error.code, error.param], [404, 'model_not_found', 'model']);
      assert.match(error.message, /Did you mean "lang-id"/);
    }
  });

  test('an error that nobody foresaw is logged and keeps its text to the log', async () => {
    const { service, post, logged } = harness();
    service.failures.push(new TypeError('cannot read secrets of undefined'));
    const reply = await post(CHAT, { model: 'auto', messages: user('write') });
    assert.equal(reply.statusCode, 500);
    assert.doesNotMatch(reply.body, /secrets/);
    assert.equal(logged.length, 1);
  });
});

describe('embeddings', () => {
  test('are numbers by default, one vector a text', async () => {
    const { service, post } = harness();
    const reply = await post('/v1/embeddings', { model: 'auto', input: ['a', 'bcd'] });
    const body = reply.json();
    assert.deepEqual(body.data[1], { object: 'embedding', index: 1, embedding: [0.5, -0.25, 3] });
    assert.deepEqual(
      [body.object, body.model, body.usage],
      ['list', 'embedder', { prompt_tokens: 8, total_tokens: 8 }],
    );
    assert.equal(service.asked[0]?.want, 'embeddings');
  });

  test('as base64 are little-endian 32-bit floats', async () => {
    const { post } = harness();
    const reply = await post('/v1/embeddings', { model: 'embedder', input: 'a', encoding_format: 'base64' });
    const bytes = Buffer.from(reply.json().data[0].embedding, 'base64');
    assert.deepEqual([bytes.readFloatLE(0), bytes.readFloatLE(4), bytes.readFloatLE(8)], [0.5, -0.25, 1]);
  });

  const refused: readonly (readonly [param: string, code: string, body: object])[] = [
    ['input', 'unsupported_field', { input: [1, 2] }],
    ['input', 'unsupported_field', { input: [[1, 2]] }],
    ['input', 'bad_input', { input: '' }],
    ['input[1]', 'bad_input', { input: ['a', ''] }],
    ['input', 'bad_input', { input: [] }],
    ['input', 'bad_input', {}],
    ['dimensions', 'unsupported_field', { input: 'a', dimensions: 8 }],
    ['encoding_format', 'bad_input', { input: 'a', encoding_format: 'hex' }],
  ];
  for (const [param, code, body] of refused) {
    test(`refuse ${JSON.stringify(body)}`, async () => {
      const { post } = harness();
      const reply = await post('/v1/embeddings', { model: 'auto', ...body });
      const { error } = reply.json();
      assert.deepEqual([reply.statusCode, error.param, error.code], [400, param, code]);
    });
  }
});

describe('models', () => {
  test('are "auto" and what is installed', async () => {
    const { service, get } = harness();
    service.expertList = [...service.expertList, expertView('late', 'retrieval', { state: 'fetching' })];
    const { object, data } = (await get('/v1/models')).json();
    assert.equal(object, 'list');
    const ids = data.map(({ id }: { id: string }) => id);
    assert.deepEqual(ids, ['auto', 'embedder', 'lang-id', 'medical', 'writer']);
    assert.equal((await get('/v1/models/medical')).json().expertd.task, 'retrieval');
    assert.equal((await get('/v1/models/auto')).json().id, 'auto');
  });

  test('that are not there are 404', async () => {
    const { get } = harness();
    const reply = await get('/v1/models/medikal');
    assert.equal(reply.statusCode, 404);
    assert.match(reply.json().error.message, /Did you mean "medical"/);
  });
});
