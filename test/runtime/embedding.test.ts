import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { chat, cosine, EMBEDDER, embed, manifestOf, openPackage, plainRun } from './embedding-open.ts';

const manifest = await manifestOf(EMBEDDER);
const task = await openPackage(EMBEDDER);
after(() => task.release());

test('vectors have length 1 and 384 numbers, in the order of the texts', async () => {
  const texts = ['what is tachycardia?', 'a mutex protects shared data', 'hello'];
  const vectors = await embed(task, ...texts);
  assert.equal(vectors.length, 3);
  for (const vector of vectors) {
    assert.equal(vector.length, 384);
    assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
  }
  const [last] = await embed(task, 'hello');
  assert.deepEqual(vectors[2], last);
});

test('a text gets the same bits whatever stands beside it', async () => {
  const [alone] = await embed(task, 'short');
  const [first, , third] = await embed(
    task,
    'short',
    'a much longer text that a batch would pad to. '.repeat(8),
    'short',
  );
  assert.deepEqual(first, alone);
  assert.deepEqual(third, alone);
});

test('texts of like meaning lie closer than others', async () => {
  const [question, answer, other] = await embed(
    task,
    'my heart beats too fast',
    'tachycardia is a rapid pulse',
    'sort a list',
  );
  assert.ok(question && answer && other);
  assert.ok(cosine(question, answer) > cosine(question, other) + 0.2);
});

test('the empty text has a vector, no texts have none', async () => {
  const [vector] = await embed(task, '');
  assert.ok(vector && Math.abs(Math.hypot(...vector) - 1) < 1e-5);
  assert.deepEqual(await embed(task), []);
});

test('counts tokens, reports its stages, and cuts what is longer than maxTokens', async () => {
  const run = plainRun();
  const answer = await task.run({ kind: 'embeddings', texts: ['what is tachycardia?', 'hello'] }, run);
  assert.equal(answer.kind === 'embeddings' && answer.inputTokens, 9 + 3);
  assert.ok((run.stages.get('run') ?? 0) > 0 && (run.stages.get('tokenize') ?? 0) > 0);

  const long = 'word '.repeat(20_000);
  const cut = await task.run({ kind: 'embeddings', texts: [long] }, plainRun());
  assert.equal(cut.kind === 'embeddings' && cut.inputTokens, 256);
  const [whole] = await embed(task, long);
  const [head] = await embed(task, 'word '.repeat(254));
  assert.deepEqual(whole, head);
});

test('tokenizer.json by the library gives the vectors of vocab.txt', async () => {
  const other = await openPackage(EMBEDDER, withTokenizer('tokenizer.json'));
  const texts = ['what is tachycardia?', 'Naïve Café, 日本 — ok!', '', 'x'.repeat(300), 'word '.repeat(400)];
  assert.deepEqual(await embed(other, ...texts), await embed(task, ...texts));
  await other.release();
});

test('cls pooling takes the first state alone', async () => {
  const other = await openPackage(EMBEDDER, { ...manifest, pooling: 'cls' });
  const [first] = await embed(other, 'what is tachycardia?');
  const [mean] = await embed(task, 'what is tachycardia?');
  assert.ok(first && mean && cosine(first, mean) < 0.99);
  await other.release();
});

test('refuses a chat, and stops between texts when it is cancelled', async () => {
  await assert.rejects(task.run(chat('hello'), plainRun()), { code: 'wrong_task' });
  let looks = 0;
  const run = { ...plainRun(), cancelled: () => ++looks > 2 };
  const texts = ['one', 'two', 'three', 'four'];
  await assert.rejects(task.run({ kind: 'embeddings', texts }, run), { code: 'cancelled' });
  assert.equal(looks, 3);
});

test('names what graph and manifest do not share', async () => {
  const { token_type_ids: type, ...fewer } = manifest.model.inputs;
  const cases: readonly (readonly [Partial<Manifest['model']>, RegExp])[] = [
    [{ inputs: fewer }, /also needs input "token_type_ids" \(int64\[/],
    [
      { inputs: { ...manifest.model.inputs, attention_mask: 'int32[a,b]' } },
      /input "attention_mask" is int64\[.*not int32\[a,b\]/,
    ],
    [{ inputs: { ...fewer, segment_ids: type ?? '' } }, /nothing for segment_ids/],
    [{ outputs: { ...manifest.model.outputs, pooled: 'float32[b,384]' } }, /no output "pooled"/],
    [{ outputs: { last_hidden_state: 'float32[b,s,512]' } }, /"last_hidden_state" is float32\[.*,384\], not/],
    [{ outputs: { embedding: 'float32[b,384]' } }, /needs an output "last_hidden_state"/],
  ];
  for (const [model, message] of cases) {
    const changed = { ...manifest, model: { ...manifest.model, ...model } };
    await assert.rejects(openPackage(EMBEDDER, changed), { code: 'bad_expert', message });
  }
});

test('opens no file that the manifest does not list', async () => {
  const files = manifest.files.filter(({ path }) => path !== 'vocab.txt');
  await assert.rejects(openPackage(EMBEDDER, { ...manifest, files }), {
    code: 'bad_expert',
    message: /vocab\.txt/,
  });
});

test('refuses a tokenizer that is none', async () => {
  await assert.rejects(openPackage(EMBEDDER, withTokenizer('config.json')), {
    code: 'bad_expert',
    message: /config\.json/,
  });
  await assert.rejects(openPackage(EMBEDDER, withTokenizer('LICENSE')), {
    code: 'bad_expert',
    message: /LICENSE/,
  });
});

function withTokenizer(path: string): Manifest {
  return {
    ...manifest,
    tokenizer: { kind: 'huggingface', path, config: 'tokenizer_config.json', maxTokens: 256 },
  };
}
