/** Packages that generation refuses when they are loaded, and a model that goes wrong while it runs. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type OnnxModel, readModel, writeModel } from '../../../agent/onnx/model.ts';
import { externalPlace } from '../../../agent/onnx/tensor.ts';
import { openGeneration } from '../../../agent/runtime/tasks/generation.ts';
import { ask, chat, contextOf, editJson, openTask, type Package, tinyPackage } from './asking.ts';

const MODEL = 'onnx/model.onnx';

function editModel({ directory }: Package, edit: (model: OnnxModel) => void): void {
  const path = join(directory, MODEL);
  const model = readModel(readFileSync(path));
  edit(model);
  writeFileSync(path, writeModel(model));
}

/** Without a name in the manifest's inputs or outputs, as its maker would write it for a changed graph. */
function without(
  files: Package,
  side: 'inputs' | 'outputs',
  drop: RegExp,
  add: Record<string, string> = {},
): Package {
  const { model } = files.manifest;
  const kept = Object.fromEntries(Object.entries(model[side]).filter(([name]) => !drop.test(name)));
  return { ...files, manifest: { ...files.manifest, model: { ...model, [side]: { ...kept, ...add } } } };
}

async function refused(files: Package, message: RegExp): Promise<void> {
  await assert.rejects(openGeneration(contextOf(files)), { name: 'AgentError', code: 'bad_expert', message });
}

test('a graph without its cache outputs, or with inputs nobody can fill, is refused with the fix', async (t) => {
  const noPresent = tinyPackage(t);
  editModel(noPresent, ({ graph }) => {
    graph.output = graph.output.filter(({ name }) => name !== 'present.1.value');
  });
  await refused(
    without(noPresent, 'outputs', /^present\.1\.value$/),
    /lacks present\.1\.value; export it with a cache/,
  );

  const renamed = tinyPackage(t);
  editModel(renamed, ({ graph }) => {
    for (const node of graph.node)
      node.input = node.input.map((name) => (name === 'attention_mask' ? 'odd' : name));
    for (const input of graph.input) if (input.name === 'attention_mask') input.name = 'odd';
  });
  const odd = without(renamed, 'inputs', /^attention_mask$/, { odd: 'int64[batch,total]' });
  await refused(odd, /lacks attention_mask; export it/);
});

test('an input that only merged decoders have is refused with the fix', async (t) => {
  const files = tinyPackage(t);
  editModel(files, ({ graph }) => {
    const like = graph.input.find(({ name }) => name === 'input_ids');
    if (like !== undefined) graph.input.push({ ...like, name: 'use_cache_branch' });
  });
  const merged = without(files, 'inputs', /^$/, { use_cache_branch: 'int64[batch,sequence]' });
  await refused(merged, /nothing can fill its inputs use_cache_branch; .*no merged decoder/);
});

test('a package that does not say how answers end, or how chats are written, is refused', async (t) => {
  const endless = tinyPackage(t);
  for (const path of ['config.json', 'generation_config.json']) {
    editJson(endless, path, (config) => delete config['eos_token_id']);
  }
  await refused(endless, /eos_token_id/);

  const broken = tinyPackage(t);
  editJson(broken, 'tokenizer_config.json', (config) => {
    config['chat_template'] = '{% for message in %}';
  });
  await refused(broken, /chat template cannot be read/);
});

test('a tokenizer with more tokens than the graph has logits is refused', async (t) => {
  const files = tinyPackage(t);
  editJson(files, 'tokenizer.json', (tokenizer) => {
    const { added_tokens: added } = tokenizer;
    assert.ok(Array.isArray(added));
    added.push({ ...added[0], id: 5_000, content: '<|far|>' });
  });
  await refused(files, /its tokenizer has \d+ tokens and its graph \d+ logits/);
});

test('files that are missing, unlisted or not JSON are named', async (t) => {
  const missing = tinyPackage(t);
  rmSync(join(missing.directory, 'tokenizer.json'));
  await refused(missing, /tokenizer\.json cannot be read/);

  const unlisted = tinyPackage(t);
  const files = unlisted.manifest.files.filter(({ path }) => path !== 'tokenizer_config.json');
  await refused(
    { ...unlisted, manifest: { ...unlisted.manifest, files } },
    /tokenizer_config\.json.* is not/,
  );

  const garbled = tinyPackage(t);
  writeFileSync(join(garbled.directory, 'config.json'), '{"a"');
  await refused(garbled, /config\.json is not JSON/);
});

test('logits that are not numbers are an error of the run, not an answer', async (t) => {
  const files = tinyPackage(t);
  const token = 'q';
  const tokenizer = JSON.parse(readFileSync(join(files.directory, 'tokenizer.json'), 'utf8'));
  poisonEmbedding(files, tokenizer.model.vocab[token]);
  const task = await openTask(t, files);
  assert.equal((await ask(task, chat('hello'))).answer.text, 'tiny: hello');
  await assert.rejects(ask(task, chat(token)), { code: 'bad_logits', message: /NaN/ });
});

test('a model that computes no numbers at all is refused when it is loaded', async (t) => {
  const files = tinyPackage(t);
  for (const id of [1, 2, 3]) poisonEmbedding(files, id);
  await refused(files, /first run gave logits that are not numbers/);
});

/** Makes the embedding of one token NaN, as a flipped bit can. */
function poisonEmbedding({ directory }: Package, id: number): void {
  const model = readModel(readFileSync(join(directory, MODEL)));
  const scales = model.graph.initializer.find(({ name }) => name === 'embed.scale');
  const place = scales === undefined ? null : externalPlace(scales);
  assert.ok(place !== null && place.location === 'model.onnx_data');
  const file = openSync(join(directory, 'onnx', place.location), 'r+');
  writeSync(file, new Uint8Array(Float32Array.of(Number.NaN).buffer), 0, 4, place.offset + 4 * id);
  closeSync(file);
}
