/** The graph of a generated language model: the same inputs, outputs and operators as a hub export with a KV cache. */
import type { ExternalDataWriter } from '../../agent/onnx/external-data.ts';
import { GraphBuilder, MICROSOFT } from '../../agent/onnx/graph.ts';
import type { OnnxModel } from '../../agent/onnx/model.ts';
import { embeddedTensor, type TensorData } from '../../agent/onnx/tensor.ts';
import type { Random } from './random.ts';
import {
  CONTEXT,
  HEAD_SIZE,
  HEADS,
  HIDDEN,
  KV_HEADS,
  NORM_EPSILON,
  ROTARY_PAIRS,
  type TinyLmShape,
} from './tiny-lm-shape.ts';
import { attention, feedForward, type Matrix, type Quantized, rotaryFrequency } from './tiny-lm-weights.ts';

/** What surrounds the layers: rows of code words in, columns of code words out. */
export interface Ends {
  /** [vocabulary, HIDDEN], value = byte / 127. */
  readonly embedding: Int8Array;
  /** [HIDDEN, vocabulary]. */
  readonly head: Quantized;
}

/** Constants of this size stay in the model file, as exporters keep them. */
const EMBEDDED_BYTES = 1_024;

export function tinyLmGraph(
  shape: TinyLmShape,
  ends: Ends,
  random: Random,
  data: ExternalDataWriter,
): OnnxModel {
  return new TinyLmGraph(shape, random, data).build(ends);
}

class TinyLmGraph {
  readonly #builder = new GraphBuilder('main_graph');
  readonly #shape: TinyLmShape;
  readonly #random: Random;
  readonly #data: ExternalDataWriter;

  constructor(shape: TinyLmShape, random: Random, data: ExternalDataWriter) {
    this.#shape = shape;
    this.#random = random;
    this.#data = data;
  }

  build(ends: Ends): OnnxModel {
    const { layers, vocabulary } = this.#shape;
    const builder = this.#builder;
    builder.input('input_ids', 'INT64', ['batch_size', 'sequence_length']);
    builder.input('attention_mask', 'INT64', ['batch_size', 'total_sequence_length']);
    builder.output('logits', 'FLOAT', ['batch_size', 'sequence_length', vocabulary]);
    this.#lengths();
    this.#rotaryCaches();
    let hidden = this.#embed(ends.embedding);
    for (let layer = 0; layer < layers; layer += 1) hidden = this.#layer(layer, hidden);
    const normed = this.#norm('final', hidden, new Float32Array(HIDDEN).fill(1));
    this.#quantizedMatMul('logits', normed, HIDDEN, ends.head);
    return builder.model('expertd-test');
  }

  /** Sequence lengths for GroupQueryAttention: `seqlens_k` is the sum of the mask less one. */
  #lengths(): void {
    const b = this.#builder;
    const one = this.#constant('one', [1], BigInt64Array.of(1n));
    const sum = b.node('ReduceSum', 'mask_sum', ['attention_mask', one], { attributes: { keepdims: 0 } });
    const last = b.node('Sub', 'mask_last', [sum, one]);
    b.node('Cast', 'seqlens_k', [last], { attributes: { to: 6 } });
    const maskShape = b.node('Shape', 'mask_shape', ['attention_mask']);
    const index = b.constant(embeddedTensor('index_one', [], BigInt64Array.of(1n)));
    const total = b.node('Gather', 'mask_total', [maskShape, index], { attributes: { axis: 0 } });
    b.node('Cast', 'total_length', [total], { attributes: { to: 6 } });
  }

  #rotaryCaches(): void {
    const angles = Float64Array.from(
      { length: CONTEXT * ROTARY_PAIRS },
      (_, index) => Math.floor(index / ROTARY_PAIRS) * rotaryFrequency(index % ROTARY_PAIRS),
    );
    const dims = [CONTEXT, ROTARY_PAIRS];
    this.#constant('cos_cache', dims, Float32Array.from(angles, Math.cos));
    this.#constant('sin_cache', dims, Float32Array.from(angles, Math.sin));
  }

  #embed(embedding: Int8Array): string {
    const { vocabulary } = this.#shape;
    const b = this.#builder;
    const weights = this.#constant('embed.weight', [vocabulary, HIDDEN], embedding);
    const scales = this.#constant('embed.scale', [vocabulary, 1], new Float32Array(vocabulary).fill(1 / 127));
    const bytes = b.node('Gather', 'embed.bytes', [weights, 'input_ids']);
    const scale = b.node('Gather', 'embed.scales', [scales, 'input_ids']);
    const floats = b.node('Cast', 'embed.floats', [bytes], { attributes: { to: 1 } });
    return b.node('Mul', 'hidden.0', [floats, scale]);
  }

  #layer(layer: number, hidden: string): string {
    const b = this.#builder;
    const attended = b.node('Add', `layer.${layer}.attended`, [hidden, this.#attention(layer, hidden)]);
    return b.node('Add', `hidden.${layer + 1}`, [attended, this.#feedForward(layer, attended)]);
  }

  #attention(layer: number, hidden: string): string {
    const b = this.#builder;
    const name = `layer.${layer}`;
    const weights = attention(layer, this.#random);
    const normed = this.#norm(`${name}.attention`, hidden, weights.norm);
    const query = this.#matMul(`${name}.query`, normed, weights.query);
    const key = this.#matMul(`${name}.key`, normed, weights.key);
    const value = this.#matMul(`${name}.value`, normed, weights.value);
    const cache = ['key', 'value'] as const;
    const past = cache.map((kind) =>
      b.input(`past_key_values.${layer}.${kind}`, 'FLOAT', cacheDims('past_sequence_length')),
    );
    const present = cache.map((kind) => `present.${layer}.${kind}`);
    for (const output of present) b.output(output, 'FLOAT', cacheDims('total_sequence_length'));
    const heads = b.node(
      'GroupQueryAttention',
      `${name}.heads`,
      [query, key, value, ...past, 'seqlens_k', 'total_length', 'cos_cache', 'sin_cache'],
      {
        domain: MICROSOFT,
        outputs: [`${name}.heads`, ...present],
        attributes: {
          num_heads: HEADS,
          kv_num_heads: KV_HEADS,
          do_rotary: 1,
          rotary_interleaved: 0,
          scale: 1 / Math.sqrt(HEAD_SIZE),
        },
      },
    );
    return this.#matMul(`${name}.output`, heads, weights.output);
  }

  /** SwiGLU; QuickGelu with alpha 1 is SiLU. */
  #feedForward(layer: number, hidden: string): string {
    const b = this.#builder;
    const name = `layer.${layer}`;
    const { feedForward: width } = this.#shape;
    const weights = feedForward(layer, width, this.#random);
    const normed = this.#norm(`${name}.feed_forward`, hidden, new Float32Array(HIDDEN).fill(1));
    const gate = this.#quantizedMatMul(`${name}.gate`, normed, HIDDEN, weights.gate);
    const up = this.#quantizedMatMul(`${name}.up`, normed, HIDDEN, weights.up);
    const attributes = { alpha: { float: 1 } };
    const active = b.node('QuickGelu', `${name}.silu`, [gate], { domain: MICROSOFT, attributes });
    const product = b.node('Mul', `${name}.product`, [active, up]);
    return this.#quantizedMatMul(`${name}.down`, product, width, weights.down);
  }

  #norm(name: string, input: string, gain: Float32Array): string {
    const weight = this.#constant(`${name}.norm.weight`, [HIDDEN], gain);
    return this.#builder.node('SimplifiedLayerNormalization', `${name}.norm`, [input, weight], {
      attributes: { axis: -1, epsilon: NORM_EPSILON, stash_type: 1 },
    });
  }

  #matMul(name: string, input: string, { rows, columns, data }: Matrix): string {
    return this.#builder.node('MatMul', name, [
      input,
      this.#constant(`${name}.weight`, [rows, columns], data),
    ]);
  }

  #quantizedMatMul(name: string, input: string, rows: number, { weights, scales }: Quantized): string {
    const weight = this.#constant(`${name}.weight`, [rows, scales.length], weights);
    const scale = this.#constant(`${name}.scale`, [scales.length], scales);
    return this.#builder.node('DynamicQuantizeMatMul', name, [input, weight, scale], { domain: MICROSOFT });
  }

  #constant(name: string, dims: readonly number[], data: TensorData): string {
    const tensor =
      data.byteLength < EMBEDDED_BYTES ? embeddedTensor(name, dims, data) : this.#data.add(name, dims, data);
    return this.#builder.constant(tensor);
  }
}

function cacheDims(length: string): (number | string)[] {
  return ['batch_size', KV_HEADS, length, HEAD_SIZE];
}
