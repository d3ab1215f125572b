/** Chooses the next token from the logits. */
import { createHash } from 'node:crypto';
import { AgentError } from '../../errors.ts';
import type { Candidates } from './candidates.ts';

export interface Sampling {
  /** 0 takes the likeliest token; else logits are divided by it before the softmax. */
  readonly temperature: number;
  /** 0 is all. */
  readonly topK: number;
  /** 1 is all. */
  readonly topP: number;
  /** 0 is all. */
  readonly minP: number;
  /** The same seed and the same logits give the same tokens. */
  readonly seed: number;
}

/**
 * In the order of vLLM (`vllm/v1/sample/sampler.py`), which is that of the reference implementation that the makers'
 * defaults were tuned with: temperature, min-p, top-k, top-p, each on what the one before has left. (llama.cpp divides
 * by the temperature last, so its top-p means another set.) Bias and penalties come before: see adjustment.ts.
 */
export class Sampler {
  readonly #sampling: Sampling;
  readonly #candidates: Candidates;
  #draws = 0;

  constructor(sampling: Sampling, candidates: Candidates) {
    this.#sampling = sampling;
    this.#candidates = candidates;
  }

  /** `logits` holds one number a token. Throws `bad_logits` where one of them is NaN or infinite upwards. */
  next(logits: Float32Array): number {
    const best = likeliest(logits);
    const { temperature, topK, topP, minP } = this.#sampling;
    if (temperature === 0 || topK === 1 || topP === 0) return best;
    const candidates = this.#candidates;
    candidates.fill(logits, logits[best] ?? 0, temperature, topK, minP);
    if (topP < 1) candidates.cutToShare(topP);
    return candidates.draw(this.#chance());
  }

  /** Uniform in [0, 1): 48 bits of a hash of the seed and the number of the draw, so it needs no other state. */
  #chance(): number {
    const input = `${this.#sampling.seed}:${this.#draws++}`;
    return createHash('sha256').update(input).digest().readUIntBE(0, 6) / 2 ** 48;
  }
}

function likeliest(logits: Float32Array): number {
  let best = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id += 1) {
    const logit = logits[id] ?? 0;
    // False for NaN too.
    if (!(logit < Number.POSITIVE_INFINITY)) throw badLogits(`token ${id} has ${logit}`);
    if (logit > highest) {
      highest = logit;
      best = id;
    }
  }
  if (best < 0) throw badLogits('no token is possible');
  return best;
}

function badLogits(what: string): AgentError {
  return new AgentError('bad_logits', `The model computed logits that make no sense: ${what}.`, {
    hint: 'Verify the files of the expert. A 4-bit model at accuracy level 4 can do this on x64: export it at level 0.',
  });
}
