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
  { fusion, priors }: { readonly fusion: Fusion; readonly priors: Uint8Array },
  lookup: LookupResult,
  cosines: Float32Array | null,
  options: { readonly count: number; readonly minScore: number },
): Ranked[] {
  const minimum = Math.log(options.minScore / (1 - options.minScore));
  const best: { entry: number; logit: number }[] = [];
  for (let entry = 0; entry < priors.length; entry += 1) {
    const words = lookup.words[entry] ?? 0;
    const term = lookup.terms[entry] ?? 0;
    if (cosines === null && words === 0) continue;
    const logit =
      cosines === null
        ? fusion.biasAlone + fusion.wordsAlone * words + fusion.termAlone * term ** 3
        : withMeaning(fusion, {
            cosine: cosines[entry] ?? 0,
            words,
            term,
            prior: (priors[entry] ?? 0) / 255,
          });
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
 * The share of a term is cubed: a question that is all term is about it. One that only touches on it is a description
 * ("pain in a tooth"), and a description does not name what it looks for: `touched` counts against the entry.
 */
function withMeaning(
  fusion: Fusion,
  { cosine, words, term, prior }: { cosine: number; words: number; term: number; prior: number },
): number {
  const touched = term > 0 ? fusion.touched : 0;
  const named = fusion.term * term ** 3 + touched;
  return fusion.bias + fusion.meaning * cosine + fusion.words * words + named + fusion.prior * prior;
}
