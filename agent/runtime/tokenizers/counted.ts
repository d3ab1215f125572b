/** A text as features and how often each comes: for graphs that add up rows, whatever the order of the text. */
export interface Counted {
  /** Each feature once, in the order in which they first come; a text without one has feature 0, which counts 0. */
  readonly ids: Int32Array;
  readonly counts: Float32Array;
  /** What was counted: pairs of bytes, or words. */
  readonly total: number;
}

export interface CountingTokenizer {
  /** Ids are below this. */
  readonly features: number;
  count(text: string): Counted;
}

export const NOTHING: Counted = { ids: Int32Array.of(0), counts: Float32Array.of(0), total: 0 };
