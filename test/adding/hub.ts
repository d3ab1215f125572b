/** Folders as model hubs keep them, made for tests: tiny models whose graphs are real and run. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { GraphBuilder } from '../../agent/onnx/graph.ts';
import { type OnnxModel, writeModel } from '../../agent/onnx/model.ts';
import { embeddedTensor } from '../../agent/onnx/tensor.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';

export const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'good', 'bad', 'film', 'the'];
const SIZE = 4;

/** A new folder in the system's place for temporary files; whoever asks for it removes it. */
export function newRoot(): string {
  return mkdtempSync(join(tmpdir(), 'expertd-adding-'));
}

export function write(root: string, path: string, content: string | Uint8Array | object): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  const isBytes = typeof content === 'string' || content instanceof Uint8Array;
  writeFileSync(file, isBytes ? content : JSON.stringify(content));
}

export function readJson(root: string, path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

/** Changes fields of a JSON file; `undefined` takes one away. */
export function change(root: string, path: string, fields: Readonly<Record<string, unknown>>): void {
  write(root, path, { ...readJson(root, path), ...fields });
}

/** The generated language model as a plain export, without an `expert.json`. */
export function languageModel(root: string, id = 'tiny-lm'): void {
  writeTinyLm(root, { id });
  rmSync(join(root, 'expert.json'));
}

/** Token states are rows of a table: texts of like words have like vectors. */
export function embedder(root: string): void {
  encoderFiles(root, { architectures: ['BertModel'] });
  write(root, 'modules.json', '[{"idx": 0, "type": "sentence_transformers.models.Transformer"}]');
  write(root, '1_Pooling/config.json', { pooling_mode_cls_token: false, pooling_mode_mean_tokens: true });
  const b = new GraphBuilder('embedder');
  b.node('Gather', 'last_hidden_state', [table(b), ids(b)]);
  b.output('last_hidden_state', 'FLOAT', ['batch', 'sequence', SIZE]);
  write(root, 'onnx/model.onnx', writeModel(b.model('expertd-test')));
}

/** Says whether "good" or "bad" is there. */
export function classifier(root: string): void {
  encoderFiles(root, {
    architectures: ['BertForSequenceClassification'],
    id2label: { 0: 'NEGATIVE', 1: 'POSITIVE' },
  });
  write(root, 'onnx/model.onnx', writeModel(classifierGraph()));
}

export function classifierGraph(labels = 2): OnnxModel {
  const b = new GraphBuilder('classifier');
  const head = new Float32Array(SIZE * labels);
  head[0] = -9;
  head[1] = 9;
  b.constant(embeddedTensor('head', [SIZE, labels], head));
  b.constant(embeddedTensor('axis', [1], BigInt64Array.of(1n)));
  b.node('Gather', 'states', [table(b), ids(b)]);
  b.node('ReduceMean', 'mean', ['states', 'axis'], { attributes: { keepdims: 0 } });
  b.node('MatMul', 'logits', ['mean', 'head']);
  b.output('logits', 'FLOAT', ['batch', labels]);
  return b.model('expertd-test');
}

function ids(b: GraphBuilder): string {
  b.input('input_ids', 'INT64', ['batch', 'sequence']);
  return 'input_ids';
}

/** The first column is 1 for "good" and -1 for "bad"; the others tell words apart. */
function table(b: GraphBuilder): string {
  const rows = new Float32Array(WORDS.length * SIZE);
  for (const [row, word] of WORDS.entries()) {
    rows[row * SIZE] = word === 'good' ? 1 : word === 'bad' ? -1 : 0;
    rows[row * SIZE + 1] = Math.sin(row + 1);
    rows[row * SIZE + 2] = Math.cos(row + 1);
  }
  return b.constant(embeddedTensor('table', [WORDS.length, SIZE], rows));
}

function encoderFiles(root: string, config: Readonly<Record<string, unknown>>): void {
  write(root, 'config.json', {
    model_type: 'bert',
    vocab_size: WORDS.length,
    max_position_embeddings: 64,
    ...config,
  });
  write(root, 'vocab.txt', `${WORDS.join('\n')}\n`);
  write(root, 'tokenizer_config.json', {
    tokenizer_class: 'BertTokenizer',
    do_lower_case: true,
    unk_token: '[UNK]',
    cls_token: '[CLS]',
    sep_token: '[SEP]',
    model_max_length: 64,
  });
}
