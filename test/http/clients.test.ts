/** The unmodified npm client of OpenAI against the server, over a socket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { defaultAnswer, refusal, said, saidToken } from '../fakes/service.ts';
import { harness, user } from './harness.ts';

describe('npm openai', () => {
  const { service, server } = harness();
  let client: OpenAI;

  before(async () => {
    const url = await server.start();
    client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  after(() => server.stop(1_000));

  const question = { role: 'user' as const, content: 'in which language is this: hola a todos mis amigos' };

  test('lists and retrieves models', async () => {
    const models = await client.models.list();
    assert.deepEqual(
      models.data.map(({ id }) => id),
      ['auto', 'embedder', 'lang-id', 'medical', 'writer'],
    );
    assert.equal((await client.models.retrieve('auto')).id, 'auto');
  });

  test('chats, and can read the headers', async () => {
    const { data, response } = await client.chat.completions
      .create({ model: 'auto', messages: [question] })
      .withResponse();
    assert.equal(data.choices[0]?.message.content, 'Spanish (es), 97 %');
    assert.equal(response.headers.get('x-expertd-expert'), 'lang-id');
  });

  test('sends back what it got as the history of a conversation', async () => {
    const first = await client.chat.completions.create({ model: 'auto', messages: [question] });
    const message = first.choices[0]?.message;
    assert.ok(message !== undefined);
    const messages = [question, message, { role: 'user' as const, content: 'what is tachycardia?' }];
    const second = await client.chat.completions.create({ model: 'auto', messages });
    assert.equal(second.model, 'medical');
  });

  test('streams with usage', async () => {
    const stream = await client.chat.completions.create({
      model: 'writer',
      messages: user('write') as [typeof question],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let total = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      total = chunk.usage?.total_tokens ?? total;
    }
    assert.deepEqual([text, total], ['Hello you', 10]);
  });

  test('asks for log probabilities, a schema and all else that steers generation', async () => {
    const token = saidToken('Hello you', -0.5);
    service.answerOf = () => said('Hello you', [token]);
    try {
      const reply = await client.chat.completions.create({
        model: 'writer',
        messages: [question],
        temperature: 0.2,
        top_p: 0.9,
        frequency_penalty: 0.5,
        presence_penalty: 0.5,
        logit_bias: { '7': -100 },
        seed: 3,
        stop: ['\n\n'],
        logprobs: true,
        top_logprobs: 1,
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'x', strict: true, schema: { type: 'object' } },
        },
      });
      const [first] = reply.choices[0]?.logprobs?.content ?? [];
      assert.deepEqual([first?.token, first?.top_logprobs[0]?.token], ['Hello you', 'other']);
      assert.equal(reply.usage?.prompt_tokens_details?.cached_tokens, 5);
      const ask = service.asked.at(-1)?.ask;
      assert.ok(ask?.kind === 'chat' && ask.generation.format.kind === 'json-schema');
    } finally {
      service.answerOf = defaultAnswer;
    }
  });

  test('goes on with a text, whole and streamed', async () => {
    const body = { model: 'writer', prompt: 'Once', echo: true };
    const whole = await client.completions.create(body);
    assert.equal(whole.choices[0]?.text, 'OnceHello you');
    const options = { stream_options: { include_usage: true } };
    const stream = await client.completions.create({ ...body, ...options, stream: true });
    let text = '';
    let total = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? '';
      total = chunk.usage?.total_tokens ?? total;
    }
    assert.deepEqual([text, total], ['OnceHello you', 10]);
  });

  test('has an error in mid-stream thrown', async () => {
    service.betweenPieces = async () => {
      throw refusal('cell_exited');
    };
    try {
      const text = await client.completions.create({ model: 'writer', prompt: 'x', stream: true });
      await assert.rejects(async () => {
        for await (const chunk of text) assert.ok(chunk);
      }, OpenAI.APIError);
      const stream = await client.chat.completions.create({
        model: 'writer',
        messages: [question],
        stream: true,
      });
      await assert.rejects(async () => {
        for await (const chunk of stream) assert.ok(chunk);
      }, OpenAI.APIError);
    } finally {
      service.betweenPieces = async () => {};
    }
  });

  test('embeds (in base64, which it asks for by itself)', async () => {
    const { data } = await client.embeddings.create({ model: 'auto', input: ['a', 'bcd'] });
    assert.deepEqual(data[1]?.embedding, [0.5, -0.25, 3]);
  });

  test('gets errors as its own classes, with code and field', async () => {
    await assert.rejects(
      client.chat.completions.create({ model: 'lang-ir', messages: [question] }),
      (error) =>
        error instanceof OpenAI.NotFoundError && error.code === 'model_not_found' && error.param === 'model',
    );
    await assert.rejects(
      client.chat.completions.create({ model: 'auto', messages: [question], n: 2 }),
      (error) => error instanceof OpenAI.BadRequestError && error.param === 'n',
    );
  });

  test('knows a prompt that is too long by its code', async () => {
    service.failures.push(refusal('context_overflow'));
    await assert.rejects(
      client.chat.completions.create({ model: 'writer', messages: [question] }),
      (error) => error instanceof OpenAI.BadRequestError && error.code === 'context_length_exceeded',
    );
  });

  test('that leaves after three pieces aborts the request', { timeout: 10_000 }, async () => {
    const aborted = Promise.withResolvers<void>();
    service.pieces = ['one', ' two', ' three', ' four'];
    service.betweenPieces = async (index, signal) => {
      if (index < 2) return;
      if (!signal.aborted) await once(signal, 'abort');
      aborted.resolve();
      throw refusal('run_failed');
    };
    try {
      const stream = await client.chat.completions.create({
        model: 'writer',
        messages: [question],
        stream: true,
      });
      let text = '';
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        if (text === 'one two three') break;
      }
      await aborted.promise;
      assert.equal(service.signals.at(-1)?.aborted, true);
    } finally {
      service.betweenPieces = async () => {};
      service.pieces = ['Hel', 'lo ', 'you'];
    }
  });

  test('is served twenty at a time, each with its own answer', { timeout: 20_000 }, async () => {
    const gate = Promise.withResolvers<void>();
    const before = service.asked.length;
    service.answerOf = (ask) => said(ask.kind === 'chat' ? ask.question : '');
    service.pieces = [];
    // None ends before all have come.
    const ask = service.ask.bind(service);
    service.ask = async (...call) => {
      const reply = ask(...call);
      if (service.asked.length - before === 20) gate.resolve();
      await gate.promise;
      return reply;
    };
    try {
      const names = Array.from({ length: 20 }, (_, at) => `write of number ${at}`);
      const texts = await Promise.all(
        names.map(async (content, at) => {
          const body = { model: 'writer', messages: [{ role: 'user' as const, content }] };
          if (at % 2 === 0) return (await client.chat.completions.create(body)).choices[0]?.message.content;
          let text = '';
          for await (const chunk of await client.chat.completions.create({ ...body, stream: true }))
            text += chunk.choices[0]?.delta.content ?? '';
          return text;
        }),
      );
      assert.deepEqual(texts, names);
    } finally {
      service.ask = ask;
      service.answerOf = defaultAnswer;
      service.pieces = ['Hel', 'lo ', 'you'];
    }
  });

  test('comes back after Retry-After where the failure allows it, and not otherwise', async () => {
    const patient = client.withOptions({ maxRetries: 1 });
    const failure = { code: 'loading', message: 'not ready', hint: null, retryable: true };
    service.failures.push(refusal('loading', { failure, retryAfterMs: 1 }));
    const reply = await patient.chat.completions.create({ model: 'auto', messages: [question] });
    assert.equal(reply.model, 'lang-id');
    const before = service.asked.length;
    service.failures.push(refusal('all_pinned'));
    await assert.rejects(
      patient.chat.completions.create({ model: 'auto', messages: [question] }),
      OpenAI.ConflictError,
    );
    assert.equal(service.asked.length, before + 1);
  });
});
