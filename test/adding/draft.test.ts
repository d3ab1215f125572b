/** What is made of a folder: the manifest, and what goes into the package. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Draft, draft } from '../../agent/adding/draft.ts';
import { idFrom, type Wishes } from '../../agent/adding/identity.ts';
import { ModelFolder } from '../../agent/adding/model-folder.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { change, classifier, embedder, languageModel, newRoot, write } from './hub.ts';

const NO_WISHES: Wishes = {
  id: null,
  version: null,
  model: null,
  summary: null,
  license: null,
  languages: [],
  examples: [],
  context: null,
};

let base: string;
let root: string;
beforeEach(() => {
  base = newRoot();
  root = join(base, 'My.Model-135M');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function drafted(wishes: Partial<Wishes> = {}): Draft {
  return draft(new ModelFolder(root), { ...NO_WISHES, ...wishes });
}

describe('a language model', () => {
  test('is described as its maker described it by hand', () => {
    languageModel(root);
    const made = drafted({ id: 'tiny-lm' });
    const byHand = writeTinyLm(join(base, 'by-hand'), { id: 'tiny-lm' });
    const { cacheBytesPerToken, ...model } = made.manifest.model;
    // Names of dimensions are prose.
    const sizes = (values: Record<string, string>) =>
      Object.fromEntries(
        Object.entries(values).map(([name, text]) => [name, text.replace(/[a-z_]+(?=[,\]])/g, '')]),
      );
    assert.deepEqual(sizes(model.inputs), sizes(byHand.model.inputs));
    assert.deepEqual(sizes(model.outputs), sizes(byHand.model.outputs));
    assert.deepEqual(made.manifest.tokenizer, byHand.tokenizer);
    assert.equal(made.manifest.task, 'text-generation');
    // Two layers, keys and values, two heads of 64 float32 each.
    assert.equal(cacheBytesPerToken, 2 * 2 * 2 * 64 * 4);
    const needed = byHand.files.map(({ path }) => path).filter((path) => path !== 'expert.json');
    for (const path of needed) assert.ok(made.copied.includes(path), path);
  });

  test('takes less context where that is wanted, and never more', () => {
    languageModel(root);
    const { tokenizer } = drafted({ context: 256 }).manifest;
    assert.ok(tokenizer?.kind === 'huggingface');
    assert.equal(tokenizer.maxTokens, 256);
    assert.throws(() => drafted({ context: 2_000_000 }), /was made for 1024 tokens, not for 2000000/);
  });
});

describe('encoders', () => {
  test('an embedder says how its tokens become one vector', () => {
    embedder(root);
    const { manifest, copied, notes } = drafted();
    assert.deepEqual([manifest.task, manifest.pooling], ['feature-extraction', 'mean']);
    assert.doesNotMatch(notes.join(), /mean/);
    assert.deepEqual(manifest.model.outputs, { last_hidden_state: 'float32[batch,sequence,4]' });
    assert.deepEqual(manifest.tokenizer, {
      kind: 'huggingface',
      path: 'vocab.txt',
      config: 'tokenizer_config.json',
      maxTokens: 64,
    });
    assert.deepEqual(copied, ['onnx/model.onnx', 'vocab.txt', 'tokenizer_config.json', 'config.json']);
    write(root, '1_Pooling/config.json', { pooling_mode_cls_token: true });
    assert.equal(drafted().manifest.pooling, 'cls');
    rmSync(join(root, '1_Pooling'), { recursive: true });
    assert.match(drafted().notes.join(), /the mean of the tokens is taken/);
  });

  test('the labels of a classifier are written from its configuration, in the order of their numbers', () => {
    classifier(root);
    const { manifest, written } = drafted();
    assert.deepEqual([manifest.task, manifest.labels], ['text-classification', 'labels.txt']);
    assert.deepEqual(written, { 'labels.txt': 'NEGATIVE\nPOSITIVE\n' });
    change(root, 'config.json', { id2label: { 1: 'one', 0: 'a label\nof two lines' } });
    assert.equal(drafted().written['labels.txt'], 'a label of two lines\none\n');
  });
});

describe('the model file', () => {
  test('is the one with 8 bits, and the others are named', () => {
    classifier(root);
    for (const name of ['model_fp16', 'model_q4', 'model_quantized', 'model_q4f16'])
      copyFileSync(join(root, 'onnx/model.onnx'), join(root, `onnx/${name}.onnx`));
    const made = drafted();
    assert.deepEqual(
      [made.manifest.model.path, made.manifest.model.precision],
      ['onnx/model_quantized.onnx', 'int8'],
    );
    assert.match(made.notes.join(), /there are also onnx\/model\.onnx, onnx\/model_fp16\.onnx/);
    assert.ok(!made.copied.some((path) => path.endsWith('.onnx') && path !== 'onnx/model_quantized.onnx'));
    rmSync(join(root, 'onnx/model_quantized.onnx'));
    assert.equal(drafted().manifest.model.path, 'onnx/model_q4.onnx');
    assert.equal(drafted({ model: './onnx/model.onnx' }).manifest.model.path, 'onnx/model.onnx');
    assert.throws(() => drafted({ model: 'onnx/none.onnx' }), { hint: /There are: onnx\/model\.onnx/ });
  });
});

describe('who it is', () => {
  test('comes from the folder, the card, and what is wanted', () => {
    embedder(root);
    write(
      root,
      'README.md',
      '---\nlicense: apache-2.0\nlanguage:\n- en\n- pt-br\n- code\npipeline_tag: sentence-similarity\n---\n# Model',
    );
    const { id, version, license, routing, source } = drafted().manifest;
    assert.deepEqual([id, version, license], ['my-model-135m', '1.0.0', 'apache-2.0']);
    assert.deepEqual(routing, { languages: ['en', 'pt-BR'], examples: [], rules: [] });
    assert.match(source, /^file:\/\/\/.*My\.Model-135M$/);
    const wanted = drafted({
      id: 'mine',
      version: '2.1.0',
      license: 'MIT',
      summary: 'Mine.',
      languages: ['de'],
      examples: ['wie heisst das?'],
    }).manifest;
    assert.deepEqual(
      [
        wanted.id,
        wanted.version,
        wanted.license,
        wanted.summary,
        wanted.routing.languages,
        wanted.routing.examples,
      ],
      ['mine', '2.1.0', 'MIT', 'Mine.', ['de'], ['wie heisst das?']],
    );
  });

  test('a licence that is nowhere stated is not made up', () => {
    embedder(root);
    const made = drafted();
    assert.equal(made.manifest.license, 'NOASSERTION');
    assert.match(made.notes.join(), /nothing states its licence/);
    write(
      root,
      'LICENSE',
      '\n                                 Apache License\n                           Version 2.0, January 2004\n',
    );
    assert.equal(drafted().manifest.license, 'Apache-2.0');
    assert.ok(drafted().copied.includes('LICENSE'));
    write(root, 'README.md', '---\nlicense: other\nlicense_name: research-only\n---\n');
    assert.equal(drafted().manifest.license, 'research-only');
  });

  test('a card that cannot be read, or tries to be a bomb, says nothing', () => {
    embedder(root);
    const bomb = `a: &a [x, x, x]\n${[...'bcdefghij'].map((name, at) => `${name}: &${name} [${`*${'abcdefghi'[at]},`.repeat(9)}]`).join('\n')}`;
    for (const matter of ['license: [unclosed', bomb, '- a\n- list', '\u0000']) {
      write(root, 'README.md', `---\n${matter}\n---\n`);
      assert.equal(drafted().manifest.license, 'NOASSERTION', matter);
    }
  });

  test('names become ids', () => {
    assert.equal(idFrom('SmolLM2-135M-Instruct'), 'smollm2-135m-instruct');
    assert.equal(idFrom('  bge small/en v1.5 '), 'bge-small-en-v1-5');
    assert.equal(idFrom('_x'), 'x');
    assert.equal(idFrom('x'.repeat(100)).length, 64);
    for (const name of [null, '', '---', '日本語', 'auto', 'Auto'])
      assert.throws(() => idFrom(name), { hint: 'Give it one: --id ID' }, String(name));
  });

  test('a snapshot in the cache of the hub is named for its repository', () => {
    const rev = 'c'.repeat(40);
    root = join(base, 'models--Some--Small-LM', 'snapshots', rev);
    embedder(root);
    const { id, source } = drafted().manifest;
    assert.deepEqual([id, source], ['small-lm', `hf:Some/Small-LM@${rev}`]);
  });
});

const MODELS = process.env['EXPERTD_TEST_MODELS'] ?? join(import.meta.dirname, '../../../shared/models');
const real = join(MODELS, 'smollm2-135m-instruct');
const skip = existsSync(real) ? false : `no model at ${real}; EXPERTD_TEST_MODELS names another place`;

test('a real language model: 30 layers of three heads of 64', { skip }, () => {
  const { manifest, copied } = draft(new ModelFolder(real), NO_WISHES);
  assert.equal(manifest.id, 'smollm2-135m-instruct');
  assert.equal(manifest.model.cacheBytesPerToken, 30 * 2 * 3 * 64 * 4);
  assert.deepEqual(copied.slice(0, 2), ['onnx/model_int8.onnx', 'onnx/model_int8.onnx_data']);
  assert.ok(manifest.tokenizer?.kind === 'huggingface');
  assert.equal(manifest.tokenizer.maxTokens, 8_192);
});
