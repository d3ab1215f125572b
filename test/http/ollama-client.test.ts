/** The unmodified npm client of Ollama against the server, over a socket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { Ollama } from 'ollama';
import { refusal } from '../fakes/service.ts';
import { harness, user } from './harness.ts';

const TOKEN = 'a-token-of-enough-characters';

describe('npm ollama', () => {
  const { service, server } = harness();
  let client: Ollama;

  before(async () => {
    client = new Ollama({ host: await server.start() });
  });
  after(() => server.stop(1_000));

  test('lists, shows and says what is in memory', async () => {
    const { models } = await client.list();
    assert.ok(models.some(({ name }) => name === 'writer:latest'));
    const shown = await client.show({ model: 'writer' });
    assert.deepEqual(shown.capabilities, ['completion']);
    const running = await client.ps();
    assert.deepEqual(
      running.models.map(({ name }) => name),
      ['embedder:latest', 'medical:latest'],
    );
    assert.equal((await client.version()).version, '0.0.1');
  });

  test('generates, whole and in pieces', async () => {
    const whole = await client.generate({
      model: 'writer',
      prompt: 'write',
      options: { seed: 1, num_ctx: 512 },
    });
    assert.deepEqual([whole.response, whole.done_reason, whole.eval_count], ['Hello you', 'stop', 3]);
    const pieces: string[] = [];
    for await (const part of await client.generate({ model: 'writer', prompt: 'write', stream: true }))
      pieces.push(part.response ?? '');
    assert.deepEqual(pieces, ['Hel', 'lo ', 'you', '']);
  });

  test('chats, and sends back what it got', async () => {
    const messages = user('write');
    const first = await client.chat({ model: 'writer', messages });
    const second = await client.chat({
      model: 'writer',
      messages: [...messages, first.message, ...user('more')],
    });
    assert.equal(second.message.content, 'Hello you');
    let text = '';
    for await (const { message } of await client.chat({ model: 'auto', messages, stream: true }))
      text += message.content;
    assert.equal(text, 'Hello you');
  });

  test('asks for a form', async () => {
    await client.chat({
      model: 'writer',
      messages: user('write'),
      format: { type: 'object' },
      keep_alive: '1m',
    });
    const { ask, keepAliveMs } = service.asked.at(-1) ?? {};
    assert.ok(ask?.kind === 'chat');
    assert.deepEqual([ask.generation.format.kind, keepAliveMs], ['json-schema', 60_000]);
  });

  test('loads and unloads', async () => {
    const loaded = await client.generate({ model: 'writer', prompt: '' });
    const unloaded = await client.chat({ model: 'writer', keep_alive: 0 });
    assert.deepEqual([loaded.done_reason, unloaded.done_reason], ['load', 'unload']);
    const parts: string[] = [];
    for await (const { done_reason } of await client.chat({ model: 'writer', messages: [], stream: true }))
      parts.push(done_reason);
    assert.deepEqual(parts, ['load']);
  });

  test('embeds in both ways', async () => {
    const { embeddings } = await client.embed({ model: 'embedder', input: ['a', 'bc'] });
    assert.deepEqual(embeddings[1], [0.5, -0.25, 2]);
    assert.deepEqual(
      (await client.embeddings({ model: 'embedder', prompt: 'a' })).embedding,
      [0.5, -0.25, 1],
    );
  });

  test('gets errors with their status and words', async () => {
    const fails = (promise: Promise<unknown>, status_code: number, words: RegExp) =>
      assert.rejects(promise, (error: Error & { status_code?: number }) => {
        assert.match(error.message, words);
        return error.status_code === status_code;
      });
    await fails(client.generate({ model: 'nobody', prompt: 'x' }), 404, /^model "nobody" not found/);
    await fails(
      client.generate({ model: 'writer', prompt: 'x', stream: true, suffix: 'y' }),
      400,
      /"suffix"/,
    );
    await fails(client.pull({ model: 'x' }), 501, /expertd add FOLDER/);
    await fails(client.delete({ model: 'writer' }), 501, /expertd remove ID/);
    service.failures.push(refusal('queue_full'));
    await fails(client.chat({ model: 'writer', messages: user('write') }), 429, /queue_full/);
  });

  test('has an error in mid-stream thrown', async () => {
    service.betweenPieces = async () => {
      throw refusal('cell_exited');
    };
    try {
      const stream = await client.generate({ model: 'writer', prompt: 'write', stream: true });
      await assert.rejects(async () => {
        for await (const part of stream) assert.ok(part);
      }, /cell_exited/);
    } finally {
      service.betweenPieces = async () => {};
    }
  });

  test('that leaves in the middle aborts the request', { timeout: 10_000 }, async () => {
    const aborted = Promise.withResolvers<void>();
    service.pieces = ['one', ' two', ' three', ' four'];
    service.betweenPieces = async (index, signal) => {
      if (index < 2) return;
      if (!signal.aborted) await once(signal, 'abort');
      aborted.resolve();
      throw refusal('run_failed');
    };
    try {
      const stream = await client.generate({ model: 'writer', prompt: 'write', stream: true });
      let text = '';
      await assert.rejects(async () => {
        for await (const part of stream) {
          text += part.response ?? '';
          if (text === 'one two three') stream.abort();
        }
      }, /abort/i);
      await aborted.promise;
      assert.equal(service.signals.at(-1)?.aborted, true);
    } finally {
      service.betweenPieces = async () => {};
    }
  });
});

test('npm ollama brings a token', async () => {
  const { server } = harness({ token: TOKEN });
  const host = await server.start();
  try {
    const client = new Ollama({ host, headers: { authorization: `Bearer ${TOKEN}` } });
    assert.ok((await client.list()).models.length > 0);
    await assert.rejects(new Ollama({ host }).list(), /bearer token/);
  } finally {
    await server.stop(1_000);
  }
});
