import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { GraphBuilder } from '../../agent/onnx/graph.ts';
import { writeModel } from '../../agent/onnx/model.ts';
import { embeddedTensor } from '../../agent/onnx/tensor.ts';
import type { Label } from '../../agent/ports.ts';
import type { Task } from '../../agent/runtime/task.ts';
import { chat, LANG_ID, manifestOf, openPackage, plainRun } from './embedding-open.ts';

const manifest = await manifestOf(LANG_ID);
const langId = await openPackage(LANG_ID);
const folder = await mkdtemp(join(tmpdir(), 'expertd-classification-'));
after(async () => {
  await langId.release();
  await rm(folder, { recursive: true });
});

test('classifies the focus, not the question', async () => {
  const answer = await langId.run(chat('¿dónde está la biblioteca?', 'what language is this'), plainRun());
  assert.ok(answer.kind === 'labels');
  assert.equal(answer.labels[0]?.label, 'es');
  assert.ok((answer.labels[0]?.score ?? 0) > 0.9);
  assert.ok(answer.inputTokens > 20);
});

test('answers with five labels, best first, whose probabilities sum to at most 1', async () => {
  for (const text of ['', 'hello', 'asdf qwer zxcv', 'これは何ですか', '\u0000\u0001', '😀'.repeat(50)]) {
    const labels = await labelsOf(langId, text);
    assert.equal(labels.length, 5);
    assert.deepEqual(
      labels,
      labels.toSorted((left, right) => right.score - left.score),
    );
    const sum = labels.reduce((total, { score }) => total + score, 0);
    assert.ok(labels.every(({ score }) => score >= 0) && sum <= 1 + 1e-5, `${text}: ${sum}`);
  }
});

test('reads the beginning of a text of 100,000 characters', async () => {
  const text = 'Where is the library? '.repeat(4_546);
  const answer = await langId.run(chat(text), plainRun());
  assert.ok(answer.kind === 'labels');
  assert.equal(answer.labels[0]?.label, 'en');
  assert.equal(answer.inputTokens, 8_192);
});

test('refuses embeddings', async () => {
  const ask = { kind: 'embeddings', texts: ['hello'] } as const;
  await assert.rejects(langId.run(ask, plainRun()), { code: 'wrong_task', message: /lang-id/ });
});

test('logits go through a softmax over all labels', async () => {
  const task = await openMade(['negative', 'neutral', 'positive'], 'logits');
  const labels = await labelsOf(task, 'good');
  assert.deepEqual(
    labels.map(({ label }) => label),
    ['positive', 'neutral', 'negative'],
  );
  const powers = [0, 1, 3].map(Math.exp);
  const sum = powers.reduce((total, power) => total + power, 0);
  for (const [at, power] of powers.toReversed().entries()) {
    assert.ok(Math.abs((labels[at]?.score ?? 0) - power / sum) < 1e-6);
  }
  assert.ok(Math.abs(labels.reduce((total, { score }) => total + score, 0) - 1) < 1e-6);
  assert.deepEqual((await labelsOf(task, 'bad'))[0]?.label, 'negative');
  await task.release();
});

test('a wordpiece classifier reads at most maxTokens tokens', async () => {
  const task = await openMade(['negative', 'neutral', 'positive'], 'logits');
  const answer = await task.run(chat('good '.repeat(1_000)), plainRun());
  assert.equal(answer.kind === 'labels' && answer.inputTokens, 8);
  await task.release();
});

test('refuses packages whose parts do not fit together', async () => {
  const bad = { code: 'bad_expert' };
  await assert.rejects(openMade(['one', 'two'], 'logits'), { ...bad, message: /2 labels for 3 outputs/ });
  await assert.rejects(openMade(['one', '', 'three'], 'logits'), {
    ...bad,
    message: /labels\.txt has an empty line/,
  });
  await assert.rejects(openMade(['a', 'b', 'c'], 'probabilities'), {
    ...bad,
    message: /sum to .*, not to 1/,
  });
  await assert.rejects(openMade(['a', 'b', 'c'], 'scores'), {
    ...bad,
    message: /"probabilities" or "logits"/,
  });
});

test('refuses a manifest that leaves out what it needs', async () => {
  const bad = { code: 'bad_expert' };
  const { labels, ...noLabels } = manifest;
  assert.ok(labels !== undefined);
  await assert.rejects(openPackage(LANG_ID, noLabels), { ...bad, message: /needs "labels"/ });
  const { tokenizer, ...noTokenizer } = manifest;
  await assert.rejects(openPackage(LANG_ID, noTokenizer), { ...bad, message: /needs a tokenizer/ });
  assert.ok(tokenizer?.kind === 'fasttext');
  const fewer = { ...tokenizer, buckets: 1_000 };
  await assert.rejects(openPackage(LANG_ID, { ...manifest, tokenizer: fewer }), {
    ...bad,
    message: /1000 is the limit/,
  });
  const renamed = { ...manifest.model, inputs: { ids: 'int32[features]' } };
  await assert.rejects(openPackage(LANG_ID, { ...manifest, model: renamed }), {
    ...bad,
    message: /also needs input "feature_ids".*no input "ids"/,
  });
});

async function labelsOf(task: Task, text: string): Promise<readonly Label[]> {
  const answer = await task.run(chat(text), plainRun());
  assert.ok(answer.kind === 'labels');
  return answer.labels;
}

const VOCABULARY = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'good', 'bad'];
/** One row a token, three scores each: a text's scores are the sums over its tokens. */
const SCORES = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 1, 0];

/** A package with a graph that sums a row of scores a token, like a hub export: int64 ids in, one row out. */
async function openMade(labels: readonly string[], output: string): Promise<Task> {
  const directory = await mkdtemp(join(folder, 'package-'));
  const files: Readonly<Record<string, string | Uint8Array>> = {
    'vocab.txt': VOCABULARY.join('\n'),
    'tokenizer_config.json': '{}',
    'labels.txt': `${labels.join('\n')}\n`,
    'model.onnx': sumOfScores(output),
  };
  for (const [path, content] of Object.entries(files)) await writeFile(join(directory, path), content);
  const listed = Object.keys(files).map((path) => ({ path, bytes: 0, sha256: '0'.repeat(64) }));
  const made: Manifest = {
    ...manifest,
    id: 'made',
    model: {
      path: 'model.onnx',
      precision: 'float32',
      inputs: { input_ids: 'int64[batch,sequence]' },
      outputs: { [output]: 'float32[batch,3]' },
    },
    tokenizer: { kind: 'huggingface', path: 'vocab.txt', config: 'tokenizer_config.json', maxTokens: 8 },
    labels: 'labels.txt',
    files: listed,
  };
  return openPackage(directory, made);
}

function sumOfScores(output: string): Uint8Array {
  const graph = new GraphBuilder('made');
  const ids = graph.input('input_ids', 'INT64', ['batch', 'sequence']);
  graph.output(output, 'FLOAT', ['batch', 3]);
  const table = graph.constant(embeddedTensor('scores', [VOCABULARY.length, 3], Float32Array.from(SCORES)));
  const axis = graph.constant(embeddedTensor('axis', [1], BigInt64Array.of(1n)));
  const rows = graph.node('Gather', 'rows', [table, ids]);
  graph.node('ReduceSum', output, [rows, axis], { attributes: { keepdims: 0 } });
  return writeModel(graph.model('test'));
}
