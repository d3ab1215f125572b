/**
 * Routes by meaning: how close a request is to the example requests of each expert, in the embedder's space. Words
 * that belong to an expert (its vocabulary) add to that; without an embedding they decide alone.
 */
import type { Router } from '../../agent/policy.ts';
import type { Candidate, Expert, Features } from '../../agent/types.ts';
import { holds } from './terms.ts';

/** Vectors are unit vectors times this. */
const SCALE = 127;
/** Score of one, two, three words of an expert's vocabulary while there is no embedding: 0.5, 0.75, 0.875. */
const WORD_DOUBT = 0.5;
/** What its vocabulary adds to the closeness of meaning, for one word and for more. */
const WORD_BONUS = 0.12;
const MAX_WORDS = 2;
/** Width of the step from "no" to "yes" around the least score. */
const SOFTNESS = 0.06;

export const nearest: Router = ({ features, experts, minScore }) => {
  const candidates: Candidate[] = [];
  for (const expert of experts) {
    const words = wordsOf(expert, features);
    const closeness = closenessOf(expert, features.embedding);
    if (closeness === null && words === 0) continue;
    const score =
      closeness === null
        ? 1 - WORD_DOUBT ** words
        : Math.min(1, closeness + WORD_BONUS * Math.min(words, MAX_WORDS));
    candidates.push({
      expert: expert.id,
      score,
      confidence: 1 / (1 + Math.exp((minScore - score) / SOFTNESS)),
      why: whyOf(closeness, words),
    });
  }
  return candidates.sort((a, b) => b.score - a.score);
};

function whyOf(closeness: number | null, words: number): string {
  const said = words === 1 ? 'one of its words' : `${words} of its words`;
  if (closeness === null) return said;
  return `closeness ${closeness.toFixed(2)}${words > 0 ? `, ${said}` : ''}`;
}

function wordsOf(expert: Expert, features: Features): number {
  if (expert.routing.vocabulary.length === 0) return 0;
  let count = 0;
  for (const word of features.words) if (holds(expert.routing.vocabulary, word)) count++;
  return count;
}

/** Largest cosine between the request and an example, -1 to 1; null where one of them is unknown. */
function closenessOf(expert: Expert, embedding: Int8Array | null): number | null {
  const { prototypes } = expert.routing;
  if (embedding === null || prototypes === null || prototypes.length === 0) return null;
  let best = -1;
  for (const prototype of prototypes) {
    const cosine = dot(prototype, embedding) / (SCALE * SCALE);
    if (cosine > best) best = cosine;
  }
  return best;
}

function dot(a: Int8Array, b: Int8Array): number {
  const length = Math.min(a.length, b.length);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
