/** Ollama's API as bodies: embeddings, and what there is. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expertView } from '../fakes/service.ts';
import { type Harness, harness } from './harness.ts';

describe('embeddings', () => {
  test('of one text or several are lists of vectors', async () => {
    const { service, post } = harness();
    const body = {
      model: 'embedder',
      input: ['a', 'bcd'],
      truncate: true,
      options: { temperature: 0 },
      keep_alive: 1,
    };
    const reply = (await post('/api/embed', body)).json();
    assert.deepEqual(reply.embeddings, [
      [0.5, -0.25, 1],
      [0.5, -0.25, 3],
    ]);
    assert.deepEqual(
      [reply.model, reply.prompt_eval_count, service.asked[0]?.keepAliveMs],
      ['embedder', 8, 1_000],
    );
    const routed = (await post('/api/embed', { model: 'auto', input: 'a' })).json();
    assert.deepEqual([routed.model, routed.embeddings.length], ['embedder', 1]);
  });

  test('of nothing load the expert', async () => {
    const { service, post } = harness();
    for (const input of ['', []])
      assert.deepEqual((await post('/api/embed', { model: 'embedder', input })).json().embeddings, []);
    assert.deepEqual(
      service.asked.map(({ want }) => want),
      ['load', 'load'],
    );
  });

  test('in the older way are one vector', async () => {
    const { post } = harness();
    const reply = await post('/api/embeddings', { model: 'embedder:latest', prompt: 'abc' });
    assert.deepEqual(reply.json(), { embedding: [0.5, -0.25, 3] });
    assert.deepEqual((await post('/api/embeddings', { model: 'embedder' })).json(), { embedding: [] });
  });

  test('of a length of one’s own, or uncut, are refused', async () => {
    const { post } = harness();
    for (const fields of [{ dimensions: 8 }, { truncate: false }]) {
      const reply = await post('/api/embed', { model: 'embedder', input: 'a', ...fields });
      assert.equal(reply.statusCode, 400);
      assert.match(reply.json().error, new RegExp(Object.keys(fields)[0] ?? ''));
    }
  });
});

describe('models', () => {
  const files = { bytes: 1_000, digest: 'ab'.repeat(32), precision: 'int8', contextTokens: 2_048 };
  const idleUntilMs = Date.UTC(2030, 0, 2, 3, 4, 5);

  function made(): Harness {
    const one = harness();
    one.service.expertList = [
      expertView('embedder', 'feature-extraction', { files, idleUntilMs: null }),
      expertView('writer', 'text-generation', { files, idleUntilMs }),
      expertView('medical', 'retrieval', { state: 'absent', base: 'writer' }),
      expertView('late', 'retrieval', { state: 'fetching' }),
    ];
    return one;
  }

  test('are "auto" and what is installed, each with a tag and a digest', async () => {
    const { models } = (await made().get('/api/tags')).json();
    const names = ['auto:latest', 'embedder:latest', 'writer:latest', 'medical:latest'];
    assert.deepEqual(
      models.map(({ name }: { name: string }) => name),
      names,
    );
    for (const { digest, modified_at, details, size } of models) {
      assert.match(digest, /^[0-9a-f]{64}$/);
      assert.ok(
        Number.isFinite(Date.parse(modified_at)) && Number.isInteger(size) && details.format.length > 0,
      );
    }
    assert.deepEqual([models[2].size, models[2].details.quantization_level], [1_000, 'int8']);
  });

  test('in memory are listed with their end; what stays for ever ends in a hundred years', async () => {
    const { models } = (await made().get('/api/ps')).json();
    const [embedder, writer, ...none] = models;
    assert.deepEqual([embedder.name, writer.name, none], ['embedder:latest', 'writer:latest', []]);
    assert.equal(writer.expires_at, '2030-01-02T03:04:05.000Z');
    assert.ok(Date.parse(embedder.expires_at) > Date.now() + 90 * 365 * 86_400_000);
    assert.deepEqual([writer.size, writer.size_vram, writer.context_length], [20 * 1_048_576, 0, 2_048]);
  });

  test('can be shown', async () => {
    const { post } = made();
    const show = async (body: object) => (await post('/api/show', body)).json();
    const writer = await show({ model: 'writer' });
    assert.deepEqual(writer.capabilities, ['completion']);
    assert.equal(writer.model_info['text-generation.context_length'], 2_048);
    assert.equal(writer.license, 'Apache-2.0');
    assert.deepEqual((await show({ name: 'embedder:latest', verbose: true })).capabilities, ['embedding']);
    assert.equal((await show({ model: 'medical' })).details.parent_model, 'writer');
    assert.deepEqual((await show({ model: 'auto' })).capabilities, ['completion']);
    assert.match((await show({ model: 'late' })).error, /not found/);
    assert.match((await show({})).error, /"model" is missing/);
  });

  test('have the version of expertd', async () => {
    assert.deepEqual((await made().get('/api/version')).json(), { version: '0.0.1' });
  });
});
