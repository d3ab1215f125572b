/** `/v1/completions`: a text to go on with. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AS_MADE } from '../../agent/generation.ts';
import { harness } from './harness.ts';

const TEXT = '/v1/completions';

test('a text goes to a language model as it is, past the chat template', async () => {
  const { service, post } = harness();
  const reply = await post(TEXT, { model: 'writer', prompt: ['  Once upon'], max_tokens: 3 });
  assert.equal(reply.statusCode, 200, reply.body);
  const { id, created, expertd, ...body } = reply.json();
  assert.match(id, /^cmpl-/);
  assert.ok(Number.isInteger(created) && expertd.expert === 'writer');
  assert.deepEqual(body, {
    object: 'text_completion',
    model: 'writer',
    choices: [{ index: 0, text: 'Hello you', logprobs: null, finish_reason: 'stop' }],
    usage: {
      prompt_tokens: 7,
      completion_tokens: 3,
      total_tokens: 10,
      prompt_tokens_details: { cached_tokens: 5 },
    },
  });
  assert.deepEqual(service.asked[0]?.ask, {
    kind: 'chat',
    messages: [],
    question: 'Once upon',
    focus: 'Once upon',
    embedding: null,
    raw: '  Once upon',
    generation: { ...AS_MADE, maxTokens: 3 },
  });
});

test('"auto" routes by its words, and to a classifier it is the question', async () => {
  const { post } = harness();
  const reply = await post(TEXT, { model: 'auto', prompt: 'which language is "hola a todos mis amigos"?' });
  assert.equal(reply.json().choices[0].text, 'Spanish (es), 97 %');
});

test('"echo" puts the prompt first, in a stream too', async () => {
  const { post } = harness();
  const body = { model: 'writer', prompt: 'Say: ', echo: true };
  assert.equal((await post(TEXT, body)).json().choices[0].text, 'Say: Hello you');
  const events = (await post(TEXT, { ...body, stream: true })).body
    .split('\n\n')
    .filter((event) => event !== '');
  assert.equal(events.pop(), 'data: [DONE]');
  const choices = events.map((event) => JSON.parse(event.slice(6)).choices[0]);
  assert.deepEqual(
    choices.map(({ text }) => text),
    ['Say: ', 'Hel', 'lo ', 'you', ''],
  );
  assert.deepEqual(
    choices.map(({ finish_reason }) => finish_reason),
    [null, null, null, null, 'stop'],
  );
});

describe('what is not supported is refused by name', () => {
  const cases: readonly (readonly [param: string, fields: object])[] = [
    ['prompt', { prompt: ['a', 'b'] }],
    ['prompt', { prompt: [1, 2] }],
    ['prompt', { prompt: [[1, 2]] }],
    ['prompt', { prompt: '' }],
    ['prompt', { prompt: [] }],
    ['prompt', { prompt: undefined }],
    ['suffix', { suffix: 'end' }],
    ['best_of', { best_of: 2 }],
    ['n', { n: 2 }],
    ['echo', { echo: true, logprobs: 1 }],
    ['logprobs', { logprobs: 21 }],
    ['logprobs', { logprobs: true }],
    ['messages', { messages: [] }],
    ['stream_options', { stream_options: { include_usage: true } }],
  ];
  for (const [param, fields] of cases) {
    test(`${param}: ${JSON.stringify(fields)}`, async () => {
      const { service, post } = harness();
      const reply = await post(TEXT, { model: 'writer', prompt: 'x', ...fields });
      assert.deepEqual([reply.statusCode, reply.json().error.param], [400, param], reply.body);
      assert.equal(service.asked.length, 0);
    });
  }

  test('and what asks for nothing is taken', async () => {
    const { post } = harness();
    const nothing = { suffix: null, best_of: 1, n: 1, user: 'ada', logprobs: null, echo: false };
    assert.equal((await post(TEXT, { model: 'writer', prompt: 'x', ...nothing })).statusCode, 200);
  });
});
