/**
 * Routes by meaning: how close a request is to the example requests of each expert, in the embedder's space. Words
 * that belong to an expert (its vocabulary) add to that; without an embedding they decide alone.
 *
 * Meaning is read twice: the nearest example, and how typical the request is of all of them. One example alone claims
 * what it resembles by chance (`what is ...?`); all of them together miss what only one is about. Chosen on questions
 * kept apart from those that measure it (`scripts/experts/glossary/confusion.ts`).
 */
import type { Router } from '../../agent/policy.ts';
import type { Candidate, Expert, Features } from '../../agent/types.ts';
import { holds } from './terms.ts';

/** Vectors are unit vectors times this. */
const SCALE = 127;
/** Score of one, two, three words of an expert's vocabulary while there is no embedding: 0.5, 0.75, 0.875. */
const WORD_DOUBT = 0.5;
/** Shares of the nearest example and of typicality: a request that is a typical example has 0.8. */
const NEAREST_SHARE = 0.5;
const TYPICAL_SHARE = 0.3;
/** What its vocabulary adds to the meaning, for one word and for more. */
const WORD_BONUS = 0.12;
const MAX_WORDS = 2;
/** Width of the step from "no" to "yes" around the least score. */
const SOFTNESS = 0.06;

export const nearest: Router = ({ features, experts, minScore }) => {
  const candidates: Candidate[] = [];
  for (const expert of experts) {
    const words = wordsOf(expert, features);
    const meaning = meaningOf(expert, features.embedding);
    if (meaning === null && words === 0) continue;
    const score =
      meaning === null
        ? 1 - WORD_DOUBT ** words
        : clamped(
            NEAREST_SHARE * meaning.closeness +
              TYPICAL_SHARE * meaning.typicality +
              WORD_BONUS * Math.min(words, MAX_WORDS),
          );
    candidates.push({
      expert: expert.id,
      score,
      confidence: 1 / (1 + Math.exp((minScore - score) / SOFTNESS)),
      why: whyOf(meaning, words),
    });
  }
  return candidates.sort((a, b) => b.score - a.score);
};

function clamped(value: number): number {
  return Math.max(-1, Math.min(1, value));
}

function whyOf(meaning: Meaning | null, words: number): string {
  const said = words === 1 ? 'one of its words' : `${words} of its words`;
  if (meaning === null) return said;
  const { closeness, typicality } = meaning;
  const read = `closeness ${closeness.toFixed(2)}, typicality ${typicality.toFixed(2)}`;
  return `${read}${words > 0 ? `, ${said}` : ''}`;
}

function wordsOf(expert: Expert, features: Features): number {
  if (expert.routing.vocabulary.length === 0) return 0;
  let count = 0;
  for (const word of features.words) if (holds(expert.routing.vocabulary, word)) count++;
  return count;
}

interface Meaning {
  /** Largest cosine between the request and an example, -1 to 1. */
  readonly closeness: number;
  /**
   * Mean cosine between the request and the examples, in units of the mean cosine of the examples among themselves
   * (each with itself included): 1 for a request that is as near to them as they are to each other. -1 to 1.
   */
  readonly typicality: number;
}

/** Null where the request or the examples are unknown. */
function meaningOf(expert: Expert, embedding: Int8Array | null): Meaning | null {
  const { prototypes } = expert.routing;
  if (embedding === null || prototypes === null || prototypes.length === 0) return null;
  let best = -1;
  let sum = 0;
  for (const prototype of prototypes) {
    const cosine = dot(prototype, embedding) / (SCALE * SCALE);
    sum += cosine;
    if (cosine > best) best = cosine;
  }
  const typicality = clamped(sum / prototypes.length / cohesionOf(prototypes));
  return { closeness: best, typicality };
}

/** A value of the examples alone, and as costly as a request: kept for as long as they are. */
const COHESIONS = new WeakMap<readonly Int8Array[], number>();

/** Mean cosine of the examples among themselves: the squared length of their mean. At least that of unrelated ones. */
function cohesionOf(prototypes: readonly Int8Array[]): number {
  const known = COHESIONS.get(prototypes);
  if (known !== undefined) return known;
  const sums = new Float64Array(prototypes[0]?.length ?? 0);
  for (const prototype of prototypes)
    for (const [at, value] of prototype.entries()) sums[at] = (sums[at] ?? 0) + value;
  const length = Math.hypot(...sums) / SCALE / prototypes.length;
  const cohesion = Math.max(length * length, 1 / prototypes.length);
  COHESIONS.set(prototypes, cohesion);
  return cohesion;
}

function dot(a: Int8Array, b: Int8Array): number {
  const length = Math.min(a.length, b.length);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
