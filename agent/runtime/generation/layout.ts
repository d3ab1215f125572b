/** The graph of a decoder as the hub exports it: which inputs carry the text, which the cache of keys and values. */
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import { badExpert, type GraphValues } from '../graph.ts';

/** One tensor of the cache: [1, heads, tokens, headSize]. */
export interface CacheSlot {
  /** Name of the input. */
  readonly past: string;
  /** Name of the output that continues it. */
  readonly present: string;
  readonly type: 'float32' | 'float16';
  readonly heads: number;
  readonly headSize: number;
  /** Of one token in one head. */
  readonly rowBytes: number;
}

export interface DecoderLayout {
  readonly slots: readonly CacheSlot[];
  readonly takesPositions: boolean;
  /** It asks how many rows of logits are wanted, counted from the last one: an int64 without dimensions. */
  readonly takesLogitsCount: boolean;
  /** Element type of the logits. */
  readonly logits: CacheSlot['type'];
}

/** In newer exports of the hub. */
export const LOGITS_COUNT = 'num_logits_to_keep';
const TEXT_INPUTS = ['input_ids', 'attention_mask', 'position_ids', LOGITS_COUNT];
const PAST = /^past_key_values\.(\d+)\.(key|value)$/;
const ELEMENT_BYTES = { float32: 4, float16: 2 } as const;
const FIX =
  'export it with a cache of keys and values in float32 or float16 (Optimum: task "text-generation-with-past"; no merged decoder)';

/** Throws `bad_expert`, naming the fix, for any other graph. */
export function readLayout(
  manifest: Manifest,
  { inputMetadata, outputMetadata }: GraphValues,
): DecoderLayout {
  const names = inputMetadata.map(({ name }) => name);
  const outputs = outputMetadata.map(({ name }) => name);
  const slots = inputMetadata.flatMap((input) => {
    const match = PAST.exec(input.name);
    return match === null ? [] : [readSlot(manifest, input, `present.${match[1]}.${match[2]}`)];
  });
  const odd = names.filter((name) => !TEXT_INPUTS.includes(name) && !PAST.test(name));
  const missing = [
    ...['input_ids', 'attention_mask'].filter((name) => !names.includes(name)),
    ...['logits', ...slots.map(({ present }) => present)].filter((name) => !outputs.includes(name)),
    ...(slots.length === 0 ? ['past_key_values.N.key and .value'] : []),
  ];
  if (missing.length > 0) throw badExpert(manifest, `its graph lacks ${missing.join(', ')}; ${FIX}`);
  if (odd.length > 0) throw badExpert(manifest, `nothing can fill its inputs ${odd.join(', ')}; ${FIX}`);
  const logits = readLogits(manifest, outputMetadata);
  return {
    slots,
    takesPositions: names.includes('position_ids'),
    takesLogitsCount: names.includes(LOGITS_COUNT),
    logits,
  };
}

/** Of keys and values of one token, in all layers and heads. */
export function bytesPerToken(slots: readonly CacheSlot[]): number {
  return slots.reduce((bytes, { heads, rowBytes }) => bytes + heads * rowBytes, 0);
}

/** Whether a tensor of this shape holds one row for each token. */
export function isCacheOf(
  { heads, headSize }: CacheSlot,
  tokens: number,
  shape: readonly number[] | undefined,
): boolean {
  const expected = [1, heads, tokens, headSize];
  return shape?.length === expected.length && expected.every((size, at) => shape[at] === size);
}

export function notOneRow(tokens: number): TypeError {
  return new TypeError(`its cache does not hold one row of keys and values for each of ${tokens} tokens`);
}

function readLogits(manifest: Manifest, outputs: GraphValues['outputMetadata']): CacheSlot['type'] {
  const logits = outputs.find(({ name }) => name === 'logits');
  if (logits?.isTensor && isKnown(logits.type)) return logits.type;
  throw badExpert(manifest, `its logits are not a tensor of float32 or float16; ${FIX}`);
}

function isKnown(type: string): type is CacheSlot['type'] {
  return Object.hasOwn(ELEMENT_BYTES, type);
}

function readSlot(manifest: Manifest, input: InferenceSession.ValueMetadata, present: string): CacheSlot {
  const past = input.name;
  if (!input.isTensor || !isKnown(input.type)) {
    throw badExpert(manifest, `its cache input ${past} is not a tensor of float32 or float16; ${FIX}`);
  }
  const { type, shape } = input;
  const [, heads, , headSize] = shape;
  if (shape.length !== 4 || typeof heads !== 'number' || typeof headSize !== 'number') {
    throw badExpert(manifest, `its cache input ${past} is not [batch, heads, tokens, head size]; ${FIX}`);
  }
  return { past, present, type, heads, headSize, rowBytes: headSize * ELEMENT_BYTES[type] };
}
