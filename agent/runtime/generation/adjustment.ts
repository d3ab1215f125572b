/** What is changed about logits before a token is chosen: what may be said, biases, penalties for repeating. */
import type { Generation } from '../../generation.ts';

export type AdjustmentSettings = Pick<Generation, 'logitBias'> & {
  /** 1 does nothing. */
  readonly repeatPenalty: number;
  /** 0 does nothing. */
  readonly frequencyPenalty: number;
  /** 0 does nothing. */
  readonly presencePenalty: number;
};

/**
 * In the order of vLLM (`vllm/v1/sample/sampler.py`): allowed tokens, bias, repetition penalty (CTRL, arXiv:1909.05858:
 * for tokens of the prompt and of the answer), frequency and presence penalty (OpenAI: for tokens of the answer).
 */
export class Adjustment {
  readonly #settings: AdjustmentSettings;
  /** Shared by all generations: it is filled and read between two steps. */
  readonly #buffer: Float32Array;
  readonly #seen: Set<number>;
  readonly #said = new Map<number, number>();

  constructor(settings: AdjustmentSettings, prompt: readonly number[], buffer: Float32Array) {
    this.#settings = settings;
    this.#buffer = buffer;
    this.#seen = new Set(settings.repeatPenalty === 1 ? [] : prompt);
  }

  /** A token was said. */
  said(id: number): void {
    const { repeatPenalty, frequencyPenalty, presencePenalty } = this.#settings;
    if (repeatPenalty !== 1) this.#seen.add(id);
    if (frequencyPenalty !== 0 || presencePenalty !== 0) this.#said.set(id, (this.#said.get(id) ?? 0) + 1);
  }

  /**
   * The logits to choose from: `logits` itself where nothing changes, which is never written to. `allowed` has a bit
   * a token, as in constraint.ts.
   */
  apply(logits: Float32Array, allowed: Int32Array | null): Float32Array {
    const { logitBias } = this.#settings;
    if (allowed === null && logitBias.length === 0 && this.#seen.size === 0 && this.#said.size === 0)
      return logits;
    const adjusted = this.#buffer.subarray(0, logits.length);
    adjusted.set(logits);
    if (allowed !== null) forbidOthers(adjusted, allowed);
    for (const [id, bias] of logitBias) adjusted[id] = (adjusted[id] ?? 0) + bias;
    this.#penalise(adjusted);
    return adjusted;
  }

  #penalise(logits: Float32Array): void {
    const { repeatPenalty, frequencyPenalty, presencePenalty } = this.#settings;
    for (const id of this.#seen) {
      const logit = logits[id] ?? 0;
      logits[id] = logit > 0 ? logit / repeatPenalty : logit * repeatPenalty;
    }
    for (const [id, times] of this.#said) {
      logits[id] = (logits[id] ?? 0) - frequencyPenalty * times - presencePenalty;
    }
  }
}

/** Most words of a mask are all zeros or all ones. */
function forbidOthers(logits: Float32Array, allowed: Int32Array): void {
  for (let from = 0; from < logits.length; from += 32) {
    const word = allowed[from >> 5] ?? 0;
    if (word === -1) continue;
    const to = Math.min(from + 32, logits.length);
    if (word === 0) logits.fill(Number.NEGATIVE_INFINITY, from, to);
    else
      for (let id = from; id < to; id += 1) {
        if (((word >>> (id & 31)) & 1) === 0) logits[id] = Number.NEGATIVE_INFINITY;
      }
  }
}
