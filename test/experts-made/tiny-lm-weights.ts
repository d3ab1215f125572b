/**
 * Weights that were thought out, not trained: an induction head over three tokens (Olsson et al., In-context
 * Learning and Induction Heads, 2022), which copies what followed the last three tokens where they stood before.
 *
 * Layer 0 has three heads that look exactly 1, 2 and 3 tokens back and write the code words they find into the
 * hidden state. Layer 1 asks for the place whose three tokens before it are this token and the two before this
 * one; the code word it finds there is the next token's. Further layers and all feed-forwards are random and small:
 * they are computed and change every logit a little.
 */
import { CODE_LENGTH } from './code-words.ts';
import type { Random } from './random.ts';
import {
  HEAD_SIZE,
  HEADS,
  HIDDEN,
  KV_HEADS,
  ROPE_THETA,
  ROTARY_PAIRS,
  WINDOW,
  ZONE,
} from './tiny-lm-shape.ts';

/** Row-major. */
export class Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;

  constructor(rows: number, columns: number, data: Float32Array = new Float32Array(rows * columns)) {
    this.rows = rows;
    this.columns = columns;
    this.data = data;
  }

  static random(rows: number, columns: number, amplitude: number, random: Random): Matrix {
    return new Matrix(rows, columns, random.float32(rows * columns, amplitude));
  }

  set(row: number, column: number, value: number): void {
    this.data[row * this.columns + column] = value;
  }
}

/** Matrices are [inputs, outputs]. */
export interface Attention {
  /** Gain of the norm before it; brings code words back to +1 and -1. */
  readonly norm: Float32Array;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly output: Matrix;
}

/** One scale an output column. */
export interface Quantized {
  readonly weights: Int8Array;
  readonly scales: Float32Array;
}

export interface FeedForward {
  readonly gate: Quantized;
  readonly up: Quantized;
  readonly down: Quantized;
}

/** Logits in nats. Far above the 51 it takes, so that a head looks at one token only. */
const OFFSET_SHARPNESS = 100;
/**
 * Among equal matches the latest wins: by 19 nats between turns that are near, 5 where they are far. A mismatch in
 * any token outweighs the whole context of recency, and one in a nearer token all farther ones: a code word differs
 * from another by 8 of 16, so 8 > 32 (1/5 + 1/25) + RECENCY / SHARPNESS.
 */
const RECENCY = 3_000;
const SHARPNESS = 12_000;
const TOKEN_WEIGHTS = [1, 1 / 5, 1 / 25];
/** GroupQueryAttention divides scores by the root of the head's size. */
const SCORE_SCALE = Math.sqrt(HEAD_SIZE);
const QUERY_SIZE = HEADS * HEAD_SIZE;
const KV_SIZE = KV_HEADS * HEAD_SIZE;
const INT8_DEVIATION = 73.9;
const FILLER = 1e-2;

export function rotaryFrequency(pair: number): number {
  return ROPE_THETA ** (-pair / ROTARY_PAIRS);
}

export function attention(layer: number, random: Random): Attention {
  if (layer === 0) return lookBack();
  if (layer === 1) return findAndCopy();
  return filler(random);
}

function lookBack(): Attention {
  const weights = blank(CODE_LENGTH + 1);
  for (let head = 0; head < WINDOW; head += 1) {
    for (let pair = 0; pair < ROTARY_PAIRS; pair += 1) {
      const angle = -rotaryFrequency(pair) * (head + 1);
      const size = OFFSET_SHARPNESS * SCORE_SCALE;
      weights.query.set(ZONE.one, column(head, pair), Math.cos(angle) * size);
      weights.query.set(ZONE.one, column(head, pair + ROTARY_PAIRS), Math.sin(angle) * size);
    }
    for (let bit = 0; bit < CODE_LENGTH; bit += 1) {
      weights.output.set(column(head, bit), ZONE.previous + head * CODE_LENGTH + bit, 1);
    }
  }
  for (let group = 0; group < KV_HEADS; group += 1) {
    for (let pair = 0; pair < ROTARY_PAIRS; pair += 1) weights.key.set(ZONE.one, column(group, pair), 1);
    for (let bit = 0; bit < CODE_LENGTH; bit += 1) weights.value.set(bit, column(group, bit), 1);
  }
  return weights;
}

function findAndCopy(): Attention {
  const weights = blank(CODE_LENGTH * (1 + WINDOW) + 1);
  const slow = ROTARY_PAIRS - 1;
  weights.query.set(ZONE.one, column(0, slow + ROTARY_PAIRS), RECENCY * SCORE_SCALE);
  weights.key.set(ZONE.one, column(0, slow), 1);
  for (const [back, share] of TOKEN_WEIGHTS.entries()) {
    for (let bit = 0; bit < CODE_LENGTH; bit += 1) {
      const dim = 2 * ROTARY_PAIRS + back * CODE_LENGTH + bit;
      weights.query.set(back * CODE_LENGTH + bit, column(0, dim), share * SHARPNESS * SCORE_SCALE);
      weights.key.set(ZONE.previous + back * CODE_LENGTH + bit, column(0, dim), 1);
    }
  }
  for (let bit = 0; bit < CODE_LENGTH; bit += 1) {
    weights.value.set(ZONE.current + bit, column(0, bit), 1);
    weights.output.set(column(0, bit), ZONE.next + bit, 1);
  }
  return weights;
}

function filler(random: Random): Attention {
  return {
    norm: new Float32Array(HIDDEN).fill(1),
    query: Matrix.random(HIDDEN, QUERY_SIZE, 0.1, random),
    key: Matrix.random(HIDDEN, KV_SIZE, 0.1, random),
    value: Matrix.random(HIDDEN, KV_SIZE, 0.1, random),
    output: Matrix.random(QUERY_SIZE, HIDDEN, FILLER / 4, random),
  };
}

/**
 * A random gated feed-forward whose output has a standard deviation of about `FILLER` a dimension; next to nothing in
 * layer 0, because layer 1 needs code words that are exact to a few parts in 10^8.
 */
export function feedForward(layer: number, width: number, random: Random): FeedForward {
  const inner = 1 / (INT8_DEVIATION * Math.sqrt(HIDDEN));
  const outer = (layer === 0 ? FILLER * 1e-6 : FILLER) / (INT8_DEVIATION * Math.sqrt(width) * 0.35);
  return {
    gate: { weights: random.int8(HIDDEN * width), scales: new Float32Array(width).fill(inner) },
    up: { weights: random.int8(HIDDEN * width), scales: new Float32Array(width).fill(inner) },
    down: { weights: random.int8(width * HIDDEN), scales: new Float32Array(HIDDEN).fill(outer) },
  };
}

/** All zero. `units` dimensions of the hidden state are +1 or -1 here and the others 0: the norm restores them. */
function blank(units: number): Attention {
  return {
    norm: new Float32Array(HIDDEN).fill(Math.sqrt(units / HIDDEN)),
    query: new Matrix(HIDDEN, QUERY_SIZE),
    key: new Matrix(HIDDEN, KV_SIZE),
    value: new Matrix(HIDDEN, KV_SIZE),
    output: new Matrix(QUERY_SIZE, HIDDEN),
  };
}

function column(head: number, dim: number): number {
  return head * HEAD_SIZE + dim;
}
