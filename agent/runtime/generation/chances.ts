/** How likely the tokens were that were said, and which others were likely. */
import type { SaidToken, TokenChance } from '../../generation.ts';
import type { TextTokenizer } from '../tokenizers/tokenizer.ts';
import { expNegative } from './exponential.ts';
import { placesOfLargest } from './ranking.ts';

/** Of what is as good as impossible; minus infinity is no JSON. */
const LEAST_LOGPROB = -9_999;

type Texts = Pick<TextTokenizer, 'decode' | 'bytesOf'>;

export class Chances {
  readonly #texts: Texts;
  readonly #top: Int32Array;

  /** With so many alternatives a token. */
  constructor(texts: Texts, alternatives: number) {
    this.#texts = texts;
    this.#top = new Int32Array(alternatives);
  }

  /** `logits` as the model computed them: what is told is its opinion, whatever was made of it. */
  of(id: number, logits: Float32Array): SaidToken {
    const total = logarithmOfSum(logits);
    const chance = (token: number): TokenChance => this.#chance(token, (logits[token] ?? 0) - total);
    const found = this.#top.length === 0 ? 0 : placesOfLargest(logits, this.#top.length, this.#top);
    const top = [...this.#top.subarray(0, found)].map(chance);
    return { ...chance(id), top: top.sort((a, b) => b.logprob - a.logprob || a.id - b.id) };
  }

  #chance(id: number, logprob: number): TokenChance {
    const bounded = Math.max(LEAST_LOGPROB, Math.min(0, logprob));
    const bytes = this.#texts.bytesOf(id);
    if (bytes !== null) return { id, text: new TextDecoder().decode(bytes), bytes, logprob: bounded };
    const text = this.#texts.decode([id], { skipSpecial: false });
    return { id, text, bytes: new TextEncoder().encode(text), logprob: bounded };
  }
}

/** ln of the sum of e^logit, which the softmax divides by; the largest is taken out so that nothing overflows. */
function logarithmOfSum(logits: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id += 1) highest = Math.max(highest, logits[id] ?? highest);
  let sum = 0;
  for (let id = 0; id < logits.length; id += 1)
    sum += expNegative(highest - (logits[id] ?? Number.NEGATIVE_INFINITY));
  return highest + Math.log(sum);
}
