/**
 * A language model with a cache and no GroupQueryAttention: tokens are appended to the cache by Concat, and as long as
 * the cache holds the position of every token under the mask, the likeliest token is the last one plus one.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../../agent/catalog/manifest.ts';
import { GraphBuilder } from '../../../agent/onnx/graph.ts';
import { writeModel } from '../../../agent/onnx/model.ts';
import { embeddedTensor, externalTensor } from '../../../agent/onnx/tensor.ts';
import type { Package } from './asking.ts';

export const COUNTING_VOCABULARY = 8;
/** The logits after it are not numbers. */
export const NONSENSE = 6;

export interface CountingOptions {
  /** Of the cache and the logits. */
  readonly type?: 'FLOAT' | 'FLOAT16';
  /** Logits of the last token alone, though they are declared like all others: always, or where they are asked for. */
  readonly lastOnly?: boolean | 'asked';
  /** The cache never gets longer than one token. */
  readonly forgetful?: boolean;
  /** The file that holds the weights, relative to the model's folder; null: they are in the model. */
  readonly external?: string | null;
}

const TYPES = { FLOAT: { code: 1, name: 'float32' }, FLOAT16: { code: 10, name: 'float16' } } as const;

/** Writes the package into a folder of its own below `parent`. */
export function countingPackage(parent: string, options: CountingOptions = {}): Package {
  const directory = join(parent, 'counting');
  mkdirSync(directory);
  writeFileSync(join(directory, 'model.onnx'), countingModel(options));
  return { directory, manifest: countingManifest(options) };
}

function countingModel({
  type = 'FLOAT',
  lastOnly = false,
  forgetful = false,
  external = null,
}: CountingOptions): Uint8Array {
  const b = new GraphBuilder('count');
  b.input('input_ids', 'INT64', ['batch', 'sequence']);
  b.input('attention_mask', 'INT64', ['batch', 'total']);
  b.input('position_ids', 'INT64', ['batch', 'sequence']);
  b.constant(table(external));
  b.constant(embeddedTensor('shape', [4], BigInt64Array.of(1n, 1n, -1n, 1n)));
  b.node('Cast', 'positions', ['position_ids'], { attributes: { to: TYPES[type].code } });
  b.node('Reshape', 'fresh', ['positions', 'shape']);
  for (const kind of ['key', 'value']) {
    b.input(`past_key_values.0.${kind}`, type, ['batch', 1, 'past', 1]);
    b.output(`present.0.${kind}`, type, ['batch', 1, 'total', 1]);
    const whole = forgetful ? `whole ${kind}` : `present.0.${kind}`;
    b.node('Concat', whole, [`past_key_values.0.${kind}`, 'fresh'], { attributes: { axis: 2 } });
    if (forgetful) addEnd(b, whole, `present.0.${kind}`);
  }
  b.node('Mul', 'logits of all', ['rows', addSign(b)]);
  const said = lastOnly === false ? 'logits of all' : addLast(b, lastOnly === 'asked');
  b.node('Cast', 'logits', [said], { attributes: { to: TYPES[type].code } });
  b.output('logits', type, ['batch', 'sequence', 'vocabulary']);
  return writeModel(b.model('test'));
}

function addEnd(b: GraphBuilder, whole: string, name: string): void {
  const bounds = [-1n, 2n ** 62n, 2n].map((value) =>
    b.constant(embeddedTensor(`${name} ${value}`, [1], BigInt64Array.of(value))),
  );
  b.node('Slice', name, [whole, ...bounds]);
}

/** The last row, or as many of the last as `num_logits_to_keep` says. */
function addLast(b: GraphBuilder, isAsked: boolean): string {
  const count = isAsked
    ? b.input('num_logits_to_keep', 'INT64', [])
    : b.constant(embeddedTensor('one row', [], BigInt64Array.of(1n)));
  const [axis, end] = [1n, 2n ** 62n].map((value) =>
    b.constant(embeddedTensor(`bound ${value}`, [1], BigInt64Array.of(value))),
  );
  b.node('Neg', 'start', [count]);
  b.node('Reshape', 'start row', ['start', axis ?? '']);
  return b.node('Slice', 'last logits', ['logits of all', 'start row', end ?? '', axis ?? '']);
}

/** 1 for the right cache. Any other takes from the logit of the token that should win: a wrong position shows. */
function addSign(b: GraphBuilder): string {
  b.node('Cast', 'mask', ['attention_mask'], { attributes: { to: 1 } });
  b.node('CumSum', 'counted', ['mask', b.constant(embeddedTensor('one', [], BigInt64Array.of(1n)))], {
    attributes: { exclusive: 1 },
  });
  b.node('Reshape', 'expected', ['counted', 'shape']);
  for (const kind of ['key', 'value']) {
    b.node('Cast', `held ${kind}`, [`present.0.${kind}`], { attributes: { to: 1 } });
    b.node('Sub', `difference ${kind}`, [`held ${kind}`, 'expected']);
    b.node('Abs', `distance ${kind}`, [`difference ${kind}`]);
    b.node('ReduceSum', `error ${kind}`, [`distance ${kind}`], { attributes: { keepdims: 0 } });
  }
  b.node('Add', 'error', ['error key', 'error value']);
  b.node('Gather', 'rows', ['table', 'input_ids']);
  return b.node('Sub', 'sign', [b.constant(embeddedTensor('unit', [], Float32Array.of(1))), 'error']);
}

function table(external: string | null): ReturnType<typeof embeddedTensor> {
  const dims = [COUNTING_VOCABULARY, COUNTING_VOCABULARY];
  if (external !== null) {
    return externalTensor('table', dims, 1, {
      location: external,
      offset: 0,
      bytes: 4 * COUNTING_VOCABULARY ** 2,
    });
  }
  const rows = Float32Array.from({ length: COUNTING_VOCABULARY ** 2 }, (_, at) => {
    const row = Math.floor(at / COUNTING_VOCABULARY);
    if (row === NONSENSE) return Number.NaN;
    return at % COUNTING_VOCABULARY === row + 1 ? 1 : 0;
  });
  return embeddedTensor('table', dims, rows);
}

function countingManifest({ type = 'FLOAT', lastOnly }: CountingOptions): Manifest {
  const { name } = TYPES[type];
  return {
    schema: 1,
    id: 'counting',
    version: '1.0.0',
    task: 'text-generation',
    summary: 'Test model: counts.',
    license: 'Apache-2.0',
    source: 'Generated by test/runtime/generation/counting-package.ts',
    runtime: 'onnx',
    model: {
      path: 'model.onnx',
      precision: name,
      inputs: {
        input_ids: 'int64[batch,sequence]',
        attention_mask: 'int64[batch,total]',
        position_ids: 'int64[batch,sequence]',
        ...(lastOnly === 'asked' ? { num_logits_to_keep: 'int64[]' } : {}),
        'past_key_values.0.key': `${name}[batch,1,past,1]`,
        'past_key_values.0.value': `${name}[batch,1,past,1]`,
      },
      outputs: { logits: `${name}[batch,sequence,vocabulary]` },
    },
    files: [{ path: 'model.onnx', bytes: 0, sha256: '0'.repeat(64) }],
    routing: { languages: ['*'], examples: [], rules: [] },
    golden: [{ input: '', output: null }],
  };
}
