/**
 * A generated language model that answers `ID: ` and then what it was told last, word for word. It has the files, the
 * graph and the operators of a hub export, so that all that is true of states, memory and generation can be tested
 * without a real model; what it will say is known beforehand, and says which expert answered.
 *
 * It copies by looking three tokens back, so a text in which the same three tokens stand twice may lose or repeat a
 * part. It ignores system messages. Text, history included, must fit `CONTEXT` tokens.
 */

import type { Manifest } from '../../agent/catalog/manifest.ts';
import { ExternalDataWriter } from '../../agent/onnx/external-data.ts';
import { writeModel } from '../../agent/onnx/model.ts';
import { type AddedToken, trainBytePairs } from './byte-pairs.ts';
import { CODE_LENGTH, CODE_WORDS, codeWord } from './code-words.ts';
import { PackageWriter } from './package.ts';
import { Random } from './random.ts';
import { type Ends, tinyLmGraph } from './tiny-lm-graph.ts';
import {
  CONTEXT,
  HEAD_SIZE,
  HEADS,
  HIDDEN,
  KV_HEADS,
  NORM_EPSILON,
  ROPE_THETA,
  ROTARY_PAIRS,
  shapeFor,
  type TinyLmShape,
  ZONE,
} from './tiny-lm-shape.ts';

export interface TinyLmOptions {
  readonly id: string;
  /** Another seed gives another model, byte for byte, that says the same. */
  readonly seed?: number;
  /** About how much the weights of the layers should weigh. Default: as little as it takes (0.9 MB in all). */
  readonly payloadBytes?: number;
  readonly version?: string;
  /** What it says before it repeats, in the place of its id. */
  readonly name?: string;
  /** What its maker claims that it says, where that is not the truth. */
  readonly golden?: string;
}

const MERGES = 200;
const PAGE_BYTES = 4_096;
const DATA_PATH = 'onnx/model.onnx_data';
/** Ids of the control tokens: their places in this list. */
const CONTROL = ['<|start|>', '<|end|>', '<|in|>', '<|out|>', '<|user|>', '<|system|>'];
const START = 0;
const END = 1;
const IN = 2;
const OUT = 3;
const USER = 4;
const SYSTEM = 5;
const SIGNATURE = CONTROL.length;

/** `<|in|>` and `<|user|>` open what is told; `<|out|>` and the signature open what is answered. */
const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|start|>' }}" +
  "{% if message['role'] == 'assistant' %}{{ '<|out|>' }}{% else %}{{ '<|in|><|' + message['role'] + '|>' }}{% endif %}" +
  "{{ message['content'] + '<|end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start|><|out|>' }}{% endif %}";

/** What the model says before it repeats. */
export function signatureOf(id: string): string {
  return `${id}: `;
}

/** Writes the package into `directory`, which may be new; returns its manifest. */
export function writeTinyLm(directory: string, options: TinyLmOptions): Manifest {
  const { id, seed = 1, payloadBytes = 0, name = id } = options;
  const random = new Random(seed);
  const added: AddedToken[] = [
    ...CONTROL.map((content) => ({ content, special: true })),
    { content: signatureOf(name), special: false },
  ];
  const tokenizer = trainBytePairs(added, MERGES);
  const shape = shapeFor(payloadBytes, tokenizer.size);
  const files = new PackageWriter(directory);
  addConfigs(files, shape);
  files.addJson('tokenizer.json', tokenizer.json);
  addModel(files, shape, random);
  return files.finish(manifest(options, shape));
}

function addModel(files: PackageWriter, shape: TinyLmShape, random: Random): void {
  const data = new ExternalDataWriter(files.path(DATA_PATH), PAGE_BYTES);
  const model = tinyLmGraph(shape, ends(shape.vocabulary, random), random, data);
  files.listed(DATA_PATH, data.finish());
  files.add('onnx/model.onnx', writeModel(model));
}

/**
 * The answer's opening bears the code words of the question's opening, so `<|out|>` is followed by what follows
 * `<|in|>`, read back as the signature, and the signature by what follows `<|user|>`. Openings are never said.
 */
function ends(vocabulary: number, random: Random): Ends {
  const order = random.shuffled(CODE_WORDS);
  const numbers = Array.from({ length: vocabulary }, (_, id) => order[id] ?? 0);
  numbers[OUT] = numbers[IN] ?? 0;
  numbers[SIGNATURE] = numbers[USER] ?? 0;
  const silent = new Set([START, IN, OUT, USER, SYSTEM]);
  const embedding = new Int8Array(vocabulary * HIDDEN);
  const weights = new Int8Array(HIDDEN * vocabulary);
  for (const [id, number] of numbers.entries()) {
    const word = codeWord(number);
    embedding[id * HIDDEN + ZONE.one] = 127;
    for (let bit = 0; bit < CODE_LENGTH; bit += 1) {
      const sign = word[bit] ?? 0;
      embedding[id * HIDDEN + ZONE.current + bit] = sign * 127;
      if (!silent.has(id)) weights[(ZONE.next + bit) * vocabulary + id] = sign * 100;
    }
    for (let dim = ZONE.noise; dim < HIDDEN; dim += 1) weights[dim * vocabulary + id] = random.word() % 100;
  }
  // 16 places of about 1.09 after the norm make a logit of 12, the nearest other word one of 6.
  const scales = new Float32Array(vocabulary).fill(12 / (CODE_LENGTH * 1.09 * 100));
  return { embedding, head: { weights, scales } };
}

function addConfigs(files: PackageWriter, shape: TinyLmShape): void {
  files.addJson('config.json', {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: HIDDEN,
    intermediate_size: shape.feedForward,
    num_hidden_layers: shape.layers,
    num_attention_heads: HEADS,
    num_key_value_heads: KV_HEADS,
    head_dim: HEAD_SIZE,
    vocab_size: shape.vocabulary,
    max_position_embeddings: CONTEXT,
    rms_norm_eps: NORM_EPSILON,
    rope_theta: ROPE_THETA,
    partial_rotary_factor: (2 * ROTARY_PAIRS) / HEAD_SIZE,
    tie_word_embeddings: false,
    bos_token_id: START,
    eos_token_id: END,
    hidden_act: 'silu',
  });
  files.addJson('generation_config.json', {
    bos_token_id: START,
    eos_token_id: [END],
    pad_token_id: END,
    do_sample: false,
  });
  files.addJson('tokenizer_config.json', {
    add_prefix_space: false,
    bos_token: CONTROL[START],
    eos_token: CONTROL[END],
    pad_token: CONTROL[END],
    clean_up_tokenization_spaces: false,
    model_max_length: CONTEXT,
    tokenizer_class: 'GPT2Tokenizer',
    chat_template: CHAT_TEMPLATE,
  });
}

function manifest(options: TinyLmOptions, shape: TinyLmShape): Omit<Manifest, 'files'> {
  const { id, version = '1.0.0', name = id } = options;
  const cache = (prefix: string, tokens: string): [string, string][] =>
    Array.from({ length: shape.layers }, (_, layer) =>
      ['key', 'value'].map((kind) => `${prefix}.${layer}.${kind}`),
    )
      .flat()
      .map((name) => [name, `float32[batch,${KV_HEADS},${tokens},${HEAD_SIZE}]`]);
  const question = 'The sea is wide.';
  const { golden = `${signatureOf(name)}${question}` } = options;
  return {
    schema: 1,
    id,
    version,
    task: 'text-generation',
    summary: `Test model: says "${signatureOf(name)}" and repeats what it is told.`,
    license: 'Apache-2.0',
    source: 'Generated by test/experts-made/tiny-lm.ts',
    runtime: 'onnx',
    model: {
      path: 'onnx/model.onnx',
      precision: 'int8',
      inputs: {
        input_ids: 'int64[batch,sequence]',
        attention_mask: 'int64[batch,total]',
        ...Object.fromEntries(cache('past_key_values', 'past')),
      },
      outputs: {
        logits: `float32[batch,sequence,${shape.vocabulary}]`,
        ...Object.fromEntries(cache('present', 'total')),
      },
      // Keys and values of a layer, four bytes a number.
      cacheBytesPerToken: shape.layers * 2 * KV_HEADS * HEAD_SIZE * 4,
    },
    tokenizer: {
      kind: 'huggingface',
      path: 'tokenizer.json',
      config: 'tokenizer_config.json',
      maxTokens: CONTEXT,
    },
    routing: { languages: ['*'], examples: [`Let ${id} repeat something.`], rules: [{ any: [id] }] },
    golden: [{ input: question, output: { text: golden } }],
  };
}
