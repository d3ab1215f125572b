/** Chooses the next token from the logits. */
import { createHash } from 'node:crypto';
import { AgentError } from '../../errors.ts';

export interface Sampling {
  /** 0 takes the likeliest token; else logits are divided by it before the softmax. */
  readonly temperature: number;
  /** The same seed, prompt and temperature give the same answer. */
  readonly seed: number;
}

export class Sampler {
  readonly #sampling: Sampling;
  #draws = 0;

  constructor(sampling: Sampling) {
    this.#sampling = sampling;
  }

  /** `logits` holds one number a token. Throws `bad_logits` where one of them is NaN or infinite upwards. */
  next(logits: Float32Array): number {
    const best = likeliest(logits);
    const { temperature } = this.#sampling;
    if (temperature === 0) return best;
    const highest = logits[best] ?? 0;
    const weights = logits.map((logit) => Math.exp((logit - highest) / temperature));
    let total = 0;
    for (const weight of weights) total += weight;
    return passing(weights, this.#draw() * total) ?? best;
  }

  /** Uniform in [0, 1): 48 bits of a hash of the seed and the number of the draw, so it needs no other state. */
  #draw(): number {
    const input = `${this.#sampling.seed}:${this.#draws++}`;
    return createHash('sha256').update(input).digest().readUIntBE(0, 6) / 2 ** 48;
  }
}

/** The token at which the sum of weights passes `target`; null where rounding kept it below. */
function passing(weights: Float32Array, target: number): number | null {
  let sum = 0;
  for (let id = 0; id < weights.length; id += 1) {
    sum += weights[id] ?? 0;
    if (sum > target) return id;
  }
  return null;
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  let highest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id += 1) {
    const logit = logits[id] ?? Number.NaN;
    if (Number.isNaN(logit) || logit === Number.POSITIVE_INFINITY)
      throw badLogits(`token ${id} has ${logit}`);
    if (logit > highest) {
      highest = logit;
      best = id;
    }
  }
  if (highest === Number.NEGATIVE_INFINITY) throw badLogits('no token is possible');
  return best;
}

function badLogits(what: string): AgentError {
  return new AgentError('bad_logits', `The model computed logits that make no sense: ${what}.`, {
    hint: 'Verify the files of the expert. A 4-bit model at accuracy level 4 can do this on x64: export it at level 0.',
  });
}
