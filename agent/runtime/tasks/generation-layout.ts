/** The graph of a decoder as the hub exports it: which inputs carry the text, which the cache of keys and values. */
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import { badExpert } from '../graph.ts';

/** One tensor of the cache: float32 [1, heads, tokens, headSize]. */
export interface CacheSlot {
  /** Name of the input. */
  readonly past: string;
  /** Name of the output that continues it. */
  readonly present: string;
  readonly heads: number;
  readonly headSize: number;
}

export interface DecoderLayout {
  readonly slots: readonly CacheSlot[];
  readonly takesPositions: boolean;
}

const TEXT_INPUTS = ['input_ids', 'attention_mask', 'position_ids'];
const PAST = /^past_key_values\.(\d+)\.(key|value)$/;
const FIX =
  'export it with a cache of keys and values in float32 (Optimum: task "text-generation-with-past"; no merged decoder)';

/** Throws `bad_expert`, naming the fix, for any other graph. */
export function readLayout(manifest: Manifest, session: InferenceSession): DecoderLayout {
  const { inputMetadata, outputNames } = session;
  const names = inputMetadata.map(({ name }) => name);
  const slots = inputMetadata.flatMap((input) => {
    const match = PAST.exec(input.name);
    return match === null ? [] : [readSlot(manifest, input, `present.${match[1]}.${match[2]}`)];
  });
  const odd = names.filter((name) => !TEXT_INPUTS.includes(name) && !PAST.test(name));
  const missing = [
    ...['input_ids', 'attention_mask'].filter((name) => !names.includes(name)),
    ...['logits', ...slots.map(({ present }) => present)].filter((name) => !outputNames.includes(name)),
    ...(slots.length === 0 ? ['past_key_values.N.key and .value'] : []),
  ];
  if (missing.length > 0) throw badExpert(manifest, `its graph lacks ${missing.join(', ')}; ${FIX}`);
  if (odd.length > 0) throw badExpert(manifest, `nothing can fill its inputs ${odd.join(', ')}; ${FIX}`);
  return { slots, takesPositions: names.includes('position_ids') };
}

function readSlot(manifest: Manifest, input: InferenceSession.ValueMetadata, present: string): CacheSlot {
  const past = input.name;
  if (!input.isTensor || input.type !== 'float32') {
    throw badExpert(manifest, `its cache input ${past} is not a float32 tensor; ${FIX}`);
  }
  const [, heads, , headSize] = input.shape;
  if (input.shape.length !== 4 || typeof heads !== 'number' || typeof headSize !== 'number') {
    throw badExpert(manifest, `its cache input ${past} is not [batch, heads, tokens, head size]; ${FIX}`);
  }
  return { past, present, heads, headSize };
}
