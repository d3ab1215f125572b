/** Sizes of a generated language model, and where its hidden state keeps what. */
import { CODE_LENGTH } from './code-words.ts';

export const HEADS = 4;
export const KV_HEADS = 2;
export const HEAD_SIZE = 64;
/** The first part of each head is rotated by position, the rest is not (`partial_rotary_factor` 0.25). */
export const ROTARY_PAIRS = 8;
/** Makes the slowest pair turn 1.3 radians over the whole context: it can tell near from far without ambiguity. */
export const ROPE_THETA = 2_040;
export const CONTEXT = 1_024;
export const NORM_EPSILON = 1e-5;

/** Tokens back that the model looks at to find its place in the text that it copies. */
export const WINDOW = 3;

/** The hidden state: the code words of this token, of the three before it and of the next one, a one, and noise. */
export const ZONE = {
  current: 0,
  previous: CODE_LENGTH,
  next: CODE_LENGTH * (1 + WINDOW),
  one: CODE_LENGTH * (2 + WINDOW),
  noise: CODE_LENGTH * (2 + WINDOW) + 1,
} as const;
export const HIDDEN = CODE_LENGTH * (3 + WINDOW);

export interface TinyLmShape {
  readonly layers: number;
  readonly feedForward: number;
  readonly vocabulary: number;
}

const ATTENTION_BYTES = 4 * HIDDEN * HEAD_SIZE * 2 * (HEADS + KV_HEADS);
/** Feed-forward weights per unit of width: gate, up and down, one byte each. */
const UNIT_BYTES = 3 * HIDDEN;
const LARGEST_LAYER_BYTES = 2_700_000;

/** Two layers that copy, wide enough, or followed by as many more as it takes, to weigh about `payloadBytes`. */
export function shapeFor(payloadBytes: number, vocabulary: number): TinyLmShape {
  const layers = Math.max(2, Math.ceil(payloadBytes / LARGEST_LAYER_BYTES));
  const units = (payloadBytes / layers - ATTENTION_BYTES) / UNIT_BYTES;
  return { layers, feedForward: Math.max(64, 16 * Math.round(units / 16)), vocabulary };
}
