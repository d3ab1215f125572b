/**
 * Meaning and words together: one logistic model gives each entry the probability that it is what was asked for.
 * Its weights come with the index, fitted on questions that nobody is measured with.
 */
import type { Fusion } from './retrieval-index.ts';
import type { LookupResult } from './retrieval-lookup.ts';

export interface Ranked {
  readonly entry: number;
  /** Probability, 0 to 1. */
  readonly score: number;
}

/**
 * The best `count` entries of at least `minScore`, best first. `cosines` holds one number an entry, or is null where
 * the question has no embedding: then an entry must share a word with it. Time grows with the entries, space does not.
 */
export function rank(
  fusion: Fusion,
  lookup: LookupResult,
  cosines: Float32Array | null,
  options: { readonly count: number; readonly minScore: number },
): Ranked[] {
  const minimum = Math.log(options.minScore / (1 - options.minScore));
  const best: { entry: number; logit: number }[] = [];
  for (let entry = 0; entry < lookup.words.length; entry += 1) {
    const words = lookup.words[entry] ?? 0;
    if (cosines === null && words === 0) continue;
    const logit = logitOf(fusion, words, lookup.terms[entry] ?? 0, cosines?.[entry] ?? null);
    const worst = best.length < options.count ? minimum : (best.at(-1)?.logit ?? minimum);
    if (!(logit > worst)) continue;
    if (best.length === options.count) best.pop();
    let place = best.length;
    while (place > 0 && (best[place - 1]?.logit ?? 0) < logit) place -= 1;
    best.splice(place, 0, { entry, logit });
  }
  return best.map(({ entry, logit }) => ({ entry, score: 1 / (1 + Math.exp(-logit)) }));
}

/**
 * The shares are cubed: a question that is all term, or all words of one entry, is about it; one that only touches
 * on it ("a tight feeling in the chest") is a description, which meaning understands better than words do.
 */
function logitOf(fusion: Fusion, words: number, term: number, cosine: number | null): number {
  const covered = words ** 3;
  const named = term ** 3;
  if (cosine === null) return fusion.biasAlone + fusion.wordsAlone * covered + fusion.termAlone * named;
  return fusion.bias + fusion.meaning * cosine + fusion.words * covered + fusion.term * named;
}
