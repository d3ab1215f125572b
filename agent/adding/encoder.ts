/** Encoders: embedders, whose token states become one vector, and classifiers, whose logits become labels. */
import type { Manifest } from '../catalog/manifest.ts';
import type { GraphValue, Signature } from '../onnx/signature.ts';
import { declareAll, tokensWanted } from './declare.ts';
import type { Findings, TaskPart } from './findings.ts';
import { isObject, type Json, type ModelFolder } from './model-folder.ts';
import { type ExportTask, exportHint, refusal } from './refusal.ts';

const INPUTS: readonly string[] = ['input_ids', 'attention_mask', 'token_type_ids'];
const STATES = 'last_hidden_state';
const LABELS = 'labels.txt';
const POOLING = '1_Pooling/config.json';
/** Modules of sentence-transformers that the task does itself; the part of the type after the last dot. */
const OWN_MODULES: readonly string[] = ['Transformer', 'Pooling', 'Normalize'];

export function draftEmbedder(findings: Findings): TaskPart {
  const { folder, model } = findings;
  const states = model.signature.outputs.find(({ name }) => name === STATES);
  if (states === undefined)
    throw refusal(
      `its graph has another layout: no output ${STATES}, only ${names(model.signature.outputs)}`,
      `${exportHint('feature-extraction')} --library transformers`,
    );
  checkModules(folder);
  const pooling = readPooling(folder);
  return {
    ...encoderPart(findings, 'feature-extraction', states),
    pooling: pooling ?? 'mean',
    written: {},
    copied: [],
    notes: pooling === null ? [`${POOLING} is missing: the mean of the tokens is taken`] : [],
  };
}

export function draftClassifier(findings: Findings): TaskPart {
  const { config, model } = findings;
  const outputs = model.signature.outputs;
  const scores = outputs.find(({ name }) => name === 'logits' || name === 'probabilities');
  if (scores === undefined)
    throw refusal(
      `its graph has another layout: no output "logits", only ${names(outputs)}`,
      exportHint('text-classification'),
    );
  const labels = readLabels(config);
  const last = scores.dims?.at(-1);
  if (typeof last === 'number' && last !== labels.length)
    throw refusal(
      `config.json names ${labels.length} labels (id2label), and the model gives ${last} numbers`,
      'Take config.json and the model from one repository.',
    );
  return {
    ...encoderPart(findings, 'text-classification', scores),
    labels: LABELS,
    written: { [LABELS]: `${labels.join('\n')}\n` },
    copied: [],
    notes: [],
  };
}

function encoderPart(
  findings: Findings,
  task: ExportTask,
  output: GraphValue,
): Pick<Manifest, 'model' | 'tokenizer'> {
  const { folder, config, model, vocabulary } = findings;
  checkInputs(model.signature, task);
  const rows = config['vocab_size'];
  if (typeof rows === 'number' && vocabulary.size > rows)
    throw refusal(
      `${vocabulary.path} has ${vocabulary.size} tokens, and the model knows ${rows}: the tokenizer is larger than the model`,
      'Take the tokenizer and the model from one repository.',
    );
  const sentences = folder.json('sentence_bert_config.json') ?? {};
  const limits = [config['max_position_embeddings'], sentences['max_seq_length']];
  return {
    model: {
      path: model.path,
      precision: model.precision,
      inputs: declareAll(model.signature.inputs),
      outputs: declareAll([output]),
    },
    tokenizer: {
      kind: 'huggingface',
      path: vocabulary.path,
      config: vocabulary.config,
      maxTokens: tokensWanted(findings, limits),
    },
  };
}

function checkInputs({ inputs }: Signature, task: ExportTask): void {
  const odd = inputs.filter(({ name, type }) => !INPUTS.includes(name) || type !== 'int64');
  if (odd.length === 0 && inputs.length > 0) return;
  const found = odd.map(({ name, type }) => `${name} (${type ?? 'no tensor'})`).join(', ');
  throw refusal(
    `its graph has another layout: only ${INPUTS.join(', ')} can be filled, as int64, and not ${found || 'none'}`,
    exportHint(task),
  );
}

/** What a sentence embedder does after its graph must be what the task does. */
function checkModules(folder: ModelFolder): void {
  const text = folder.text('modules.json');
  const modules: unknown = text === null ? [] : parseModules(text);
  for (const module of Array.isArray(modules) ? modules : []) {
    const type = String(isObject(module) ? module['type'] : '');
    const name = type.slice(type.lastIndexOf('.') + 1);
    if (OWN_MODULES.includes(name)) continue;
    throw refusal(
      `its vectors go through ${name || 'something unknown'} after the graph (modules.json), which is not done here`,
      `${exportHint('feature-extraction')}, of a model without that module`,
    );
  }
}

function parseModules(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refusal(`modules.json is not JSON: ${(cause as Error).message}`, 'Fetch it again.', cause);
  }
}

/** null where the folder does not say. */
function readPooling(folder: ModelFolder): 'mean' | 'cls' | null {
  const settings = folder.json(POOLING);
  if (settings === null) return null;
  const modes = Object.keys(settings).filter(
    (key) => key.startsWith('pooling_mode_') && settings[key] === true,
  );
  if (modes.length === 1 && modes[0] === 'pooling_mode_mean_tokens') return 'mean';
  if (modes.length === 1 && modes[0] === 'pooling_mode_cls_token') return 'cls';
  throw refusal(
    `${POOLING} wants ${modes.join(' and ') || 'no pooling'}; the mean of the tokens and the first token can be taken`,
    'Take another model.',
  );
}

/** Labels in the order of the logits: `id2label` of config.json. */
function readLabels({ id2label, problem_type: problem }: Json): readonly string[] {
  if (problem === 'multi_label_classification' || problem === 'regression')
    throw refusal(
      `the model is made for ${problem}; a classifier here gives one label a text`,
      'Write an expert.json of the task "tensor", which gives the numbers as they are.',
    );
  const entries = isObject(id2label) ? Object.entries(id2label) : [];
  const labels = Array.from({ length: entries.length }, (_, at) => (id2label as Json)[String(at)]);
  const texts = labels.filter((label): label is string => typeof label === 'string' && label.trim() !== '');
  if (texts.length < 2 || texts.length !== entries.length)
    throw refusal(
      'config.json does not name the labels: "id2label" must give a text for each number from 0 on, two at least',
      'Fetch config.json from the repository of the model, or write them into it.',
    );
  return texts.map((label) => label.replace(/\s+/g, ' ').trim());
}

function names(values: readonly GraphValue[]): string {
  return values.map(({ name }) => name).join(', ') || 'none';
}
