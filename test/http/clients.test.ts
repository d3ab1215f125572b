/** The unmodified npm client of OpenAI against the server, over a socket. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { refusal } from '../fakes/service.ts';
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

  test('has an error in mid-stream thrown', async () => {
    service.betweenPieces = async () => {
      throw refusal('cell_exited');
    };
    try {
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
