/** What OpenAI's clients, and those of programs that speak its language, say of generating text. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AS_MADE, type Generation } from '../../agent/generation.ts';
import { expertView, refusal, said, saidToken } from '../fakes/service.ts';
import { harness, user } from './harness.ts';

const CHAT = '/v1/chat/completions';
const write = { model: 'writer', messages: user('write') };
const SCHEMA = { type: 'object', properties: { a: { type: 'integer' } } };
const json_schema = { name: 'x', strict: null, schema: SCHEMA };

async function generationOf(fields: object): Promise<Generation> {
  const { service, post } = harness();
  const reply = await post(CHAT, { ...write, ...fields });
  assert.equal(reply.statusCode, 200, reply.body);
  const ask = service.asked[0]?.ask;
  assert.ok(ask?.kind === 'chat');
  return ask.generation;
}

describe('a field', () => {
  const cases: readonly (readonly [sent: object, became: Partial<Generation>])[] = [
    [{}, {}],
    [
      { temperature: 0, top_p: 0.5, top_k: 40, min_p: 0.05 },
      { temperature: 0, topP: 0.5, topK: 40, minP: 0.05 },
    ],
    [{ top_k: -1 }, { topK: 0 }],
    [
      { frequency_penalty: -2, presence_penalty: 1.5 },
      { frequencyPenalty: -2, presencePenalty: 1.5 },
    ],
    [{ repeat_penalty: 1.1 }, { repeatPenalty: 1.1 }],
    [{ repetition_penalty: 1.2 }, { repeatPenalty: 1.2 }],
    [
      { seed: -7, stop: ['a', 'b', 'c', 'd'] },
      { seed: -7, stop: ['a', 'b', 'c', 'd'] },
    ],
    [{ max_tokens: 1_000_000_000 }, { maxTokens: 1_000_000_000 }],
    [{ max_tokens: 3, max_completion_tokens: 4 }, { maxTokens: 4 }],
    [
      { logit_bias: { '50256': -100, '7': 0.5 } },
      {
        logitBias: [
          [7, 0.5],
          [50_256, -100],
        ],
      },
    ],
    [{ logprobs: true }, { logprobs: 0 }],
    [{ logprobs: true, top_logprobs: 20 }, { logprobs: 20 }],
    [{ logprobs: false, top_logprobs: 0 }, {}],
    [{ truncation: 'auto' }, { overflow: 'truncate' }],
    [{ truncate_prompt_tokens: -1 }, { overflow: 'truncate' }],
    [{ truncation: 'disabled' }, {}],
    [{ response_format: { type: 'text' } }, {}],
    [{ response_format: { type: 'json_object' } }, { format: { kind: 'json-object' } }],
    [
      { response_format: { type: 'json_schema', json_schema } },
      { format: { kind: 'json-schema', schema: JSON.stringify(SCHEMA) } },
    ],
    [
      { response_format: { type: 'json_object', schema: SCHEMA } },
      { format: { kind: 'json-schema', schema: JSON.stringify(SCHEMA) } },
    ],
  ];
  for (const [sent, became] of cases) {
    test(`${JSON.stringify(sent)} is understood`, async () => {
      assert.deepEqual(await generationOf(sent), { ...AS_MADE, ...became });
    });
  }

  test('keep_alive is in seconds, or a duration', async () => {
    const { service, post } = harness();
    for (const keep_alive of ['1m30s', 0, -1]) await post(CHAT, { ...write, keep_alive });
    await post('/v1/embeddings', { model: 'auto', input: 'x', keep_alive: 2 });
    await post(CHAT, write);
    assert.deepEqual(
      service.asked.map(({ keepAliveMs }) => keepAliveMs),
      [90_000, 0, -1, 2_000, null],
    );
  });
});

describe('a value that means nothing is refused by its field', () => {
  const deep = JSON.parse(`${'{"items":'.repeat(200)}1${'}'.repeat(200)}`) as object;
  const cases: readonly (readonly [param: string, fields: object])[] = [
    ['max_tokens', { max_tokens: 0 }],
    ['max_completion_tokens', { max_completion_tokens: 0 }],
    ['top_p', { top_p: 1.5 }],
    ['top_k', { top_k: 1.5 }],
    ['min_p', { min_p: -1 }],
    ['frequency_penalty', { frequency_penalty: 3 }],
    ['repeat_penalty', { repeat_penalty: 0 }],
    ['stop', { stop: ['a', 'b', 'c', 'd', 'e'] }],
    ['stop', { stop: '' }],
    ['logit_bias.hello', { logit_bias: { hello: 1 } }],
    ['logit_bias[5]', { logit_bias: { '5': 101 } }],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }],
    ['top_logprobs', { top_logprobs: 2 }],
    ['logprobs', { logprobs: 2 }],
    ['keep_alive', { keep_alive: 'soon' }],
    ['truncation', { truncation: 'always' }],
    ['truncate_prompt_tokens', { truncate_prompt_tokens: 100 }],
    ['response_format.json_schema', { response_format: { type: 'json_schema' } }],
    [
      'response_format.json_schema.schema',
      { response_format: { type: 'json_schema', json_schema: { name: 'x' } } },
    ],
    ['response_format.json_schema', { response_format: { type: 'json_object', json_schema } }],
    ['response_format.schema', { response_format: { type: 'text', schema: SCHEMA } }],
    [
      'response_format.json_schema.schema',
      { response_format: { type: 'json_schema', json_schema: { schema: [] } } },
    ],
    ['stop', { stop: '\ud800' }],
  ];
  for (const [param, fields] of cases) {
    test(`${param}: ${JSON.stringify(fields).slice(0, 90)}`, async () => {
      const { service, post } = harness();
      const reply = await post(CHAT, { ...write, ...fields });
      assert.deepEqual([reply.statusCode, reply.json().error.param], [400, param], reply.body);
      assert.equal(service.asked.length, 0);
    });
  }

  test('a schema that is nested without end', async () => {
    const { post } = harness();
    const response_format = { type: 'json_schema', json_schema: { schema: deep } };
    const reply = await post(CHAT, { ...write, response_format });
    assert.equal(reply.statusCode, 400);
    assert.match(
      reply.json().error.message,
      /^"response_format\.json_schema\.schema\.items.*" is nested too deeply/,
    );
  });
});

describe('a JSON schema', () => {
  const response_format = { type: 'json_schema', json_schema };

  test('is refused for who is no language model, by name, before anything is loaded', async () => {
    for (const model of ['lang-id', 'medical']) {
      const { service, post } = harness();
      const reply = await post(CHAT, { model, messages: user('hola'), response_format });
      const { error } = reply.json();
      assert.deepEqual(
        [reply.statusCode, error.param, error.code],
        [400, 'response_format', 'unsupported_field'],
      );
      assert.match(error.message, new RegExp(`"${model}" is no language model`));
      assert.equal(service.asked.length, 0);
    }
  });

  test('is refused where the router finds such a one, or none, in a stream too', async () => {
    for (const stream of [false, true]) {
      const { post } = harness();
      const ask = (content: string) =>
        post(CHAT, { model: 'auto', messages: user(content), response_format, stream });
      const routed = await ask('which language?');
      assert.match(routed.json().error.message, /"lang-id" is no language model/);
      assert.equal(routed.statusCode, 400);
      assert.match((await ask('asdf')).json().error.message, /no expert is confident/);
    }
  });

  test('is kept for an assistant by its language model, and not by its sources alone', async () => {
    const { service, post } = harness();
    service.expertList = service.expertList.map((one) =>
      one.id === 'medical' ? { ...one, base: 'writer' } : one,
    );
    const body = { model: 'medical', messages: user('what is a fever?'), response_format };
    service.answerOf = () => said('{"a":1}');
    assert.equal((await post(CHAT, body)).json().choices[0].message.content, '{"a":1}');
    service.answerOf = () => ({ kind: 'passages', passages: [], inputTokens: 1 });
    service.notes = { degraded: 'base-loading' };
    const reply = await post(CHAT, body);
    assert.equal(reply.statusCode, 400);
    assert.match(reply.json().error.message, /only answer with its sources now \(base-loading\)/);
  });

  test('that a cell refuses is a 400 with its field; what else it refuses is not', async () => {
    const { service, post } = harness();
    const failure = (message: string) => ({ code: 'bad_input', message, hint: null, retryable: false });
    const paramOf = async (message: string) => {
      service.failures.push(refusal('bad_input', { failure: failure(message) }));
      const reply = await post(CHAT, { ...write, response_format });
      assert.equal(reply.statusCode, 400);
      return reply.json().error.param;
    };
    assert.equal(await paramOf('the schema has a pattern that looks ahead'), 'response_format');
    assert.equal(await paramOf('logit_bias names token 99999; writer has 500'), 'logit_bias');
    assert.equal(await paramOf('the template refuses the messages'), null);
  });
});

test('JSON that a language model was cut off in is as it is: finish_reason tells', async () => {
  const { service, post } = harness();
  for (const finish of ['length', 'cancelled'] as const) {
    service.answerOf = () => ({ ...said('{"a":'), finish });
    const reply = await post(CHAT, { ...write, response_format: { type: 'json_object' } });
    const [choice] = reply.json().choices;
    assert.deepEqual([choice.message.content, choice.finish_reason], ['{"a":', 'length']);
  }
});

test('a prompt that is too long has the code that programs look for, and the field', async () => {
  const { service, post } = harness();
  const message = 'the messages make a prompt of 9000 tokens; writer takes 2048';
  const failure = { code: 'context_overflow', message, hint: 'Send less.', retryable: false };
  const cases: readonly (readonly [string, object, string])[] = [
    [CHAT, write, 'messages'],
    ['/v1/completions', { model: 'writer', prompt: 'write' }, 'prompt'],
    ['/v1/embeddings', { model: 'embedder', input: 'write' }, 'input'],
  ];
  for (const [path, body, param] of cases) {
    service.failures.push(refusal('context_overflow', { failure }));
    const reply = await post(path, body);
    const { error } = reply.json();
    assert.deepEqual(
      [reply.statusCode, error.code, error.param],
      [400, 'context_length_exceeded', param],
      path,
    );
    assert.match(error.message, /9000 tokens.*2048/);
  }
});

describe('log probabilities', () => {
  const tokens = [saidToken('Hel', -0.5), saidToken('lo', -1)];
  const other = { token: 'other', logprob: -3, bytes: [...Buffer.from('other')] };
  const content = [
    { token: 'Hel', logprob: -0.5, bytes: [72, 101, 108], top_logprobs: [other] },
    { token: 'lo', logprob: -1, bytes: [108, 111], top_logprobs: [other] },
  ];

  test('stand beside the message', async () => {
    const { service, post } = harness();
    service.answerOf = () => said('Hello', tokens);
    const asked = await post(CHAT, { ...write, logprobs: true, top_logprobs: 1 });
    assert.deepEqual(asked.json().choices[0].logprobs, { content, refusal: null });
    assert.equal((await post(CHAT, write)).json().choices[0].logprobs, null);
  });

  test('come with the pieces of a stream', async () => {
    const { service, post } = harness();
    service.pieces = tokens.map((token) => ({ text: token.text, tokens: [token] }));
    service.answerOf = () => said('Hello', tokens);
    const { body } = await post(CHAT, { ...write, logprobs: true, top_logprobs: 1, stream: true });
    const choices = body
      .split('\n\n')
      .filter((event) => event.startsWith('data: {'))
      .map((event) => JSON.parse(event.slice(6)).choices[0]);
    assert.deepEqual(
      choices.flatMap(({ logprobs }) => logprobs?.content ?? []),
      content,
    );
  });

  test('of a text are parallel lists, with offsets in characters', async () => {
    const { service, post } = harness();
    // A character of four bytes in two tokens.
    const half = (bytes: number[]) => ({
      ...saidToken('\u{fffd}', -1),
      bytes: Uint8Array.from(bytes),
      top: [],
    });
    const torn = [saidToken('a', -0.1), half([0xf0, 0x9f]), half([0x98, 0x80]), saidToken('b', -0.2)];
    service.answerOf = () => said('a😀b', torn);
    const reply = await post('/v1/completions', { model: 'writer', prompt: 'write', logprobs: 1 });
    const { logprobs } = reply.json().choices[0];
    assert.deepEqual(logprobs.tokens, ['a', '\u{fffd}', '\u{fffd}', 'b']);
    assert.deepEqual(logprobs.token_logprobs, [-0.1, -1, -1, -0.2]);
    assert.deepEqual(logprobs.text_offset, [0, 1, 1, 2]);
    assert.deepEqual(logprobs.top_logprobs[0], { other: -3, a: -0.1 });
  });
});

test('who generates nothing takes all of it, since clients send it always', async () => {
  const { post } = harness();
  const fields = {
    temperature: 0.7,
    top_p: 0.9,
    seed: 1,
    stop: 'x',
    logprobs: true,
    max_tokens: 9,
    top_k: 3,
  };
  const reply = await post(CHAT, { model: 'lang-id', messages: user('hola'), ...fields });
  const [choice] = reply.json().choices;
  assert.deepEqual([reply.statusCode, choice.message.content], [200, 'Spanish (es), 97 %']);
});

test('the sources of an assistant and what it lacks are in the note, the lack in a header too', async () => {
  const { service, post } = harness();
  const sources = [{ title: 'fever', text: 'Above 38 °C.', source: 'Glossary', score: 0.9 }];
  service.expertList = [
    expertView('medical', 'retrieval', { base: 'writer' }),
    expertView('writer', 'text-generation'),
  ];
  service.answerOf = () => said('Hello you');
  service.notes = { sources, degraded: 'not-recorded' };
  const body = { model: 'medical', messages: user('what is a fever?') };
  const whole = await post(CHAT, body);
  assert.deepEqual(whole.json().expertd.sources, sources);
  assert.equal(whole.json().choices[0].message.content, 'Hello you');
  assert.equal(whole.headers['x-expertd-degraded'], 'not-recorded');
  const stream = await post(CHAT, { ...body, stream: true });
  // Nothing was sent before the answer was there, so the head knows.
  assert.equal(stream.headers['x-expertd-degraded'], 'not-recorded');
  const last = stream.body.split('\n\n').findLast((event) => event.includes('"expertd"')) ?? '';
  const note = JSON.parse(last.slice(6)).expertd;
  assert.deepEqual([note.sources, note.degraded], [sources, 'not-recorded']);
});
