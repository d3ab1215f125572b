import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readModel } from '../../agent/onnx/model.ts';
import { listFiles, parseManifest } from '../../scripts/experts/manifest.ts';
import { cosine, EMBEDDER, embed, openPackage } from '../runtime/embedding-open.ts';

const manifest = parseManifest(readFileSync(`${EMBEDDER}/expert.json`, 'utf8'));
const SHARED = '../shared/models/all-minilm-l6-v2';
const skip = existsSync(SHARED) ? false : `${SHARED} is not here`;

test('lists its files as they are', async () => {
  assert.deepEqual(manifest.files, await listFiles(EMBEDDER));
});

test('golden vectors', async () => {
  const task = await openPackage(EMBEDDER);
  assert.ok(manifest.golden.length >= 4);
  for (const { input, output } of manifest.golden) {
    const { first, tolerance } = output as { first: readonly number[]; tolerance: number };
    const [vector] = await embed(task, input);
    assert.equal(first.length, 8);
    for (const [at, value] of first.entries()) {
      assert.ok(Math.abs((vector?.[at] ?? Number.NaN) - value) <= tolerance, `${input}: ${at}`);
    }
  }
  await task.release();
});

test('weights lie in one file, each tensor at a 64 KB boundary; small ones stay in the graph', () => {
  const model = readModel(readFileSync(`${EMBEDDER}/onnx/model.onnx`));
  const size = readFileSync(`${EMBEDDER}/onnx/model.onnx.data`).length;
  const outside = model.graph.initializer.filter(({ externalData }) => externalData.length > 0);
  assert.ok(outside.length > 30);
  for (const tensor of outside) {
    const entry = Object.fromEntries(tensor.externalData.map(({ key, value }) => [key, value]));
    assert.equal(entry['location'], 'model.onnx.data');
    assert.equal(Number(entry['offset']) % 65_536, 0, tensor.name);
    assert.ok(Number(entry['offset']) + Number(entry['length']) <= size);
  }
  for (const { rawData } of model.graph.initializer) assert.ok(rawData.length < 16_384);
});

test('is as close to the fp32 model as int8 allows', { skip }, async () => {
  const { items }: { items: readonly { text: string; fp32: number[] }[] } = JSON.parse(
    readFileSync(`${SHARED}/golden.json`, 'utf8'),
  );
  const task = await openPackage(EMBEDDER);
  for (const { text, fp32 } of items) {
    const [vector] = await embed(task, text);
    assert.ok(vector && cosine(vector, fp32) > 0.98, text);
  }
  await task.release();
});

test('gives the bits of the model with its weights inside', { skip }, async () => {
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const paths = [`${EMBEDDER}/onnx/model.onnx`, `${SHARED}/onnx/model_int8.onnx`];
  const sessions = await Promise.all(
    paths.map((path) => InferenceSession.create(path, { intraOpNumThreads: 1 })),
  );
  for (let text = 0; text < 200; text += 1) {
    const length = 2 + (text % 40);
    const tensor = (data: BigInt64Array) => new Tensor('int64', data, [1, length]);
    const feeds = {
      input_ids: tensor(
        BigInt64Array.from({ length }, (_, at) => BigInt((text * 7_919 + at * 104_729) % 30_522)),
      ),
      attention_mask: tensor(new BigInt64Array(length).fill(1n)),
      token_type_ids: tensor(new BigInt64Array(length)),
    };
    const [left, right] = await Promise.all(sessions.map((session) => session.run(feeds)));
    assert.deepEqual(left?.['last_hidden_state']?.data, right?.['last_hidden_state']?.data);
  }
  for (const session of sessions) await session.release();
});
