/** Folders that do not become experts: each is refused with the reason and the fix. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { draft } from '../../agent/adding/draft.ts';
import { ModelFolder } from '../../agent/adding/model-folder.ts';
import { AgentError } from '../../agent/errors.ts';
import { GraphBuilder } from '../../agent/onnx/graph.ts';
import { readModel, writeModel } from '../../agent/onnx/model.ts';
import { externalTensor } from '../../agent/onnx/tensor.ts';
import {
  change,
  classifier,
  classifierGraph,
  embedder,
  languageModel,
  newRoot,
  readJson,
  write,
} from './hub.ts';

let base: string;
let root: string;
beforeEach(() => {
  base = newRoot();
  root = join(base, 'model');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function refused(message: RegExp, hint: RegExp = /./): void {
  const wishes = { id: null, version: null, model: null, summary: null, license: null, context: null };
  try {
    draft(new ModelFolder(root), { ...wishes, languages: [], examples: [] });
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
    return;
  }
  assert.fail('it was taken');
}

/** A graph of which only inputs and outputs matter. */
function decoder(
  inputs: readonly string[],
  outputs: readonly string[],
  type: 'FLOAT' | 'BOOL' = 'FLOAT',
): void {
  const b = new GraphBuilder('decoder');
  for (const name of ['input_ids', 'attention_mask']) b.input(name, 'INT64', ['batch', 'sequence']);
  for (const name of inputs) b.input(name, type, ['batch', 2, 'past', 64]);
  for (const name of outputs) b.output(name, 'FLOAT', ['batch', 'sequence', 512]);
  write(root, 'onnx/model.onnx', writeModel(b.model('expertd-test')));
}

describe('what is not there', () => {
  test('no ONNX file: names how to export it', () => {
    languageModel(root);
    rmSync(join(root, 'onnx'), { recursive: true });
    refused(/holds no ONNX model/, /optimum-cli export onnx .*--task text-generation-with-past/);
  });

  test('no tokenizer, no settings of it, no config, no template, no end', () => {
    languageModel(root);
    const [tokenizer, settings] = [readJson(root, 'tokenizer.json'), readJson(root, 'tokenizer_config.json')];
    rmSync(join(root, 'tokenizer.json'));
    refused(/no tokenizer: tokenizer\.json is missing/, /save_pretrained/);
    write(root, 'tokenizer.json', tokenizer);
    rmSync(join(root, 'tokenizer_config.json'));
    refused(/tokenizer_config\.json is missing/);
    write(root, 'tokenizer_config.json', { ...settings, chat_template: undefined });
    refused(/has no chat template/, /instruct/);
    write(root, 'tokenizer_config.json', settings);
    rmSync(join(root, 'generation_config.json'));
    change(root, 'config.json', { eos_token_id: undefined });
    refused(/which token ends an answer/, /generation_config\.json/);
    rmSync(join(root, 'config.json'));
    refused(/config\.json is missing/, /hf download/);
  });
});

describe('what is not what it says', () => {
  test('JSON that is none, a list for an object, a page of HTML as a model, a file cut short', () => {
    languageModel(root);
    const [config, model] = [readFileSync(join(root, 'config.json')), join(root, 'onnx/model.onnx')];
    write(root, 'config.json', 'version https://git-lfs.github.com/spec/v1');
    refused(/config\.json is not JSON/, /Git LFS/);
    write(root, 'config.json', '[]');
    refused(/config\.json holds no JSON object/);
    write(root, 'config.json', config);
    const graph = readFileSync(model);
    writeFileSync(model, '<html>not found</html>');
    refused(/onnx\/model\.onnx is not an ONNX model/);
    writeFileSync(model, graph.subarray(0, graph.length / 2));
    refused(/onnx\/model\.onnx is not an ONNX model/);
  });

  test('a task that is none of ours, by the card and by the architecture, and one that nothing tells', () => {
    embedder(root);
    write(root, 'README.md', '---\npipeline_tag: image-to-text\n---\n');
    refused(/the task image-to-text is none/, /"tensor"/);
    rmSync(join(root, 'README.md'));
    rmSync(join(root, 'modules.json'));
    change(root, 'config.json', { architectures: ['T5ForConditionalGeneration'] });
    refused(/the architecture T5ForConditionalGeneration is none/);
    change(root, 'config.json', { architectures: undefined });
    const b = new GraphBuilder('odd');
    b.input('input_ids', 'INT64', ['batch', 'sequence']);
    b.output('something', 'FLOAT', ['batch']);
    write(root, 'onnx/model.onnx', writeModel(b.model('expertd-test')));
    refused(/does not show what the model does/);
  });
});

describe('graphs of another layout', () => {
  test('a decoder without a cache, a merged one, one that does not continue, one whose cache has no size', () => {
    languageModel(root);
    decoder([], ['logits']);
    refused(/no cache of keys and values/, /text-generation-with-past/);
    const [past, present] = [
      ['past_key_values.0.key', 'past_key_values.0.value'],
      ['present.0.key', 'present.0.value'],
    ];
    decoder([...past, 'use_cache_branch'], ['logits', ...present]);
    refused(/another layout: nothing can fill its inputs use_cache_branch/, /merged/);
    decoder(past, ['logits', 'present.0.key']);
    refused(/no output present\.0\.value continues/);
    decoder(past, present);
    refused(/no output "logits"/);
    const b = new GraphBuilder('flat');
    for (const name of ['input_ids', 'attention_mask']) b.input(name, 'INT64', ['batch', 'sequence']);
    b.input('past_key_values.0.key', 'FLOAT', ['batch', 'past', 128]);
    b.output('logits', 'FLOAT', ['batch', 'sequence', 512]);
    b.output('present.0.key', 'FLOAT', ['batch', 'past', 128]);
    write(root, 'onnx/model.onnx', writeModel(b.model('expertd-test')));
    refused(/past_key_values\.0\.key is float32\[batch,past,128\], not \[batch, heads, tokens, size\]/);
  });

  test('an embedder that gives something else, goes on elsewhere, or pools as nobody here does', () => {
    embedder(root);
    write(root, '1_Pooling/config.json', { pooling_mode_mean_tokens: true, pooling_mode_max_tokens: true });
    refused(/wants pooling_mode_mean_tokens and pooling_mode_max_tokens/);
    write(root, 'modules.json', '[{"type": "sentence_transformers.models.Dense"}]');
    refused(/go through Dense after the graph/);
    write(root, 'modules.json', '[');
    refused(/modules\.json is not JSON/);
    write(root, 'modules.json', '[]');
    write(root, 'onnx/model.onnx', writeModel(classifierGraph()));
    refused(/no output last_hidden_state, only logits/, /--library transformers/);
  });

  test('a classifier whose labels are missing, too few, or for several at once', () => {
    classifier(root);
    write(root, 'onnx/model.onnx', writeModel(classifierGraph(3)));
    refused(/names 2 labels \(id2label\), and the model gives 3/);
    change(root, 'config.json', { id2label: { 0: 'a', 2: 'b' } });
    refused(/does not name the labels/);
    change(root, 'config.json', { id2label: undefined });
    refused(/does not name the labels/);
    change(root, 'config.json', { problem_type: 'multi_label_classification' });
    refused(/made for multi_label_classification/, /"tensor"/);
  });
});

describe('tokenizers of another model', () => {
  test('one with more tokens than the model has logits', () => {
    languageModel(root);
    const json = readJson(root, 'tokenizer.json');
    const added = json['added_tokens'] as object[];
    write(root, 'tokenizer.json', {
      ...json,
      added_tokens: [...added, { id: 5_000, content: '<|more|>', special: true }],
    });
    refused(/has 5001 tokens, and the model \d+ logits/, /one repository/);
    embedder(join(base, 'other'));
    root = join(base, 'other');
    change(root, 'config.json', { vocab_size: 5 });
    refused(/vocab\.txt has 8 tokens, and the model knows 5/);
  });

  test('one in which an answer would end with an ordinary word, or with no token at all', () => {
    languageModel(root);
    change(root, 'generation_config.json', { eos_token_id: [1, 40] });
    refused(/token 40, which ends an answer, is ".+" there, a part of texts/);
    change(root, 'generation_config.json', { eos_token_id: 100_000 });
    refused(/token 100000, which ends an answer, is beyond its tokens/);
  });

  test('one whose settings name a token that it has not, or that holds no vocabulary', () => {
    languageModel(root);
    change(root, 'tokenizer_config.json', { eos_token: '</s>' });
    refused(/names eos_token "<\/s>", which is no token of tokenizer\.json/);
    write(root, 'tokenizer.json', { model: { vocab: 7 } });
    refused(/holds no vocabulary/);
  });
});

describe('what leads out of the folder', () => {
  function weightsAt(location: string, bytes = 16): void {
    classifier(root);
    const model = readModel(readFileSync(join(root, 'onnx/model.onnx')));
    model.graph.initializer.push(externalTensor('more', [bytes / 4], 1, { location, offset: 0, bytes }));
    write(root, 'onnx/model.onnx', writeModel(model));
  }

  test('weights by an absolute path, by dots, by back-slashes', () => {
    for (const location of ['/etc/passwd', '../../secret', '..\\secret', '']) {
      weightsAt(location);
      refused(/wants weights from ".*", outside of the folder/, /a source that you trust/i);
    }
  });

  test('weights that are missing, or shorter than the graph wants', () => {
    weightsAt('model.onnx_data', 64);
    refused(/onnx\/model\.onnx_data, which holds weights of onnx\/model\.onnx, is missing/);
    write(root, 'onnx/model.onnx_data', Buffer.alloc(64));
    truncateSync(join(root, 'onnx/model.onnx_data'), 63);
    refused(/has 63 bytes, and onnx\/model\.onnx wants 64 of it/);
  });

  test('links, of every kind of file', () => {
    write(base, 'outside', Buffer.alloc(64));
    weightsAt('model.onnx_data', 64);
    symlinkSync(join(base, 'outside'), join(root, 'onnx/model.onnx_data'));
    refused(/onnx\/model\.onnx_data is a link that leads out/, /--local-dir|cp -rL/);
    for (const path of [
      'config.json',
      'tokenizer_config.json',
      'vocab.txt',
      'onnx/model.onnx',
      'README.md',
    ]) {
      rmSync(root, { recursive: true });
      classifier(root);
      rmSync(join(root, path), { force: true });
      symlinkSync(join(base, 'outside'), join(root, path));
      refused(new RegExp(`${path.replace('.', '\\.')} is a link that leads out of the folder`));
    }
  });

  test('a folder in the place of a file, a link to itself, a file for a folder', () => {
    classifier(root);
    rmSync(join(root, 'config.json'));
    write(root, 'config.json/inner', 'x');
    refused(/config\.json is not a regular file/);
    assert.throws(() => new ModelFolder(join(root, 'vocab.txt')), /is a file/);
    assert.throws(() => new ModelFolder(join(root, 'none')), /there is no folder/);
  });
});
