/**
 * What the words of a question say about each entry: by single words (BM25) and by whole terms.
 */
import type { RetrievalIndex } from './retrieval-index.ts';
import { nearestWord } from './retrieval-spelling.ts';
import { phraseHash, stemsOf } from './retrieval-words.ts';

const MAX_STEMS = 128;
const MAX_TERM_STEMS = 8;
/** Spelling scans the whole index; a text of nothing but unknown words must not do so 128 times. */
const MAX_CORRECTIONS = 4;
const CORRECTED = 0.8;
/** As much as the rarest word of an index. */
const UNKNOWN_WEIGHT = 255;
/** Stems by which people set things side by side. English; without them a comparison only ranks its terms lower. */
const COMPARING: ReadonlySet<string> = new Set([
  ...['difference', 'differ', 'different', 'distinguish', 'compare', 'compared', 'comparison'],
  ...['versu', 'versus', 'vs', 'same', 'or'],
]);

/** Both arrays hold one number an entry, 0 to 1. Reused: valid until the next lookup. */
export interface LookupResult {
  /** Share of the question's weight of words that the entry covers. */
  readonly words: Float32Array;
  /** Share of it that is a term of the entry; 1 where the question is the term, or compares it with others. */
  readonly terms: Float32Array;
  /** False where the question has no word that says anything. */
  readonly hasContent: boolean;
}

interface QueryWord {
  readonly stem: string;
  /** How much of the question it is, in the index's own unit; 0 for words that say nothing. */
  readonly weight: number;
  readonly number: number;
  readonly trust: number;
}

interface FoundTerm {
  /** Where the index lists it: one place an entry. */
  readonly places: readonly number[];
  readonly words: readonly QueryWord[];
}

export class WordLookup {
  readonly #index: RetrievalIndex;
  readonly #words: Float32Array;
  readonly #terms: Float32Array;

  constructor(index: RetrievalIndex) {
    this.#index = index;
    this.#words = new Float32Array(index.entryCount);
    this.#terms = new Float32Array(index.entryCount);
  }

  lookUp(text: string): LookupResult {
    this.#words.fill(0);
    this.#terms.fill(0);
    const query = this.#understand(text);
    const unique = new Map(query.map((word) => [word.stem, word]));
    let total = 0;
    for (const word of unique.values()) total += word.weight;
    if (total > 0) {
      for (const word of unique.values()) this.#addPostings(word, word.weight / total);
      this.#addTerms(query, total);
    }
    return { words: this.#words, terms: this.#terms, hasContent: total > 0 };
  }

  #understand(text: string): QueryWord[] {
    const known = new Map<string, QueryWord>();
    let corrections = 0;
    return stemsOf(text)
      .slice(0, MAX_STEMS)
      .map((stem) => {
        let word = known.get(stem);
        if (word === undefined) {
          const number = this.#index.wordNumber(stem);
          const mayCorrect = number < 0 && corrections < MAX_CORRECTIONS;
          if (mayCorrect) corrections += 1;
          word = this.#weigh(stem, number, mayCorrect ? nearestWord(this.#index, stem) : -1);
          known.set(stem, word);
        }
        return word;
      });
  }

  #weigh(stem: string, number: number, corrected: number): QueryWord {
    const { wordWeights } = this.#index;
    if (number >= 0) return { stem, number, weight: wordWeights[number] ?? 0, trust: 1 };
    if (corrected < 0) return { stem, number: -1, weight: UNKNOWN_WEIGHT, trust: 0 };
    const weight = wordWeights[corrected] ?? 0;
    return { stem: this.#index.word(corrected), number: corrected, weight, trust: CORRECTED };
  }

  #addPostings(word: QueryWord, share: number): void {
    if (word.number < 0) return;
    const { postingOffsets, postingEntries, postingWeights } = this.#index;
    const end = postingOffsets[word.number + 1] ?? 0;
    const factor = (share * word.trust) / 255;
    for (let at = postingOffsets[word.number] ?? 0; at < end; at += 1) {
      const entry = postingEntries[at] ?? 0;
      this.#words[entry] = (this.#words[entry] ?? 0) + factor * (postingWeights[at] ?? 0);
    }
  }

  /** Marks the terms in a question. In a comparison of terms and nothing else, each counts as if it were alone. */
  #addTerms(query: readonly QueryWord[], total: number): void {
    const found = this.#findTerms(query);
    const covered = new Set(found.flatMap(({ words }) => words));
    const isComparison =
      found.length > 1 &&
      query.every((word) => word.weight === 0 || covered.has(word)) &&
      query.some(({ stem }) => COMPARING.has(stem));
    for (const { places, words } of found) {
      const weight = [...new Set(words)].reduce((sum, word) => sum + word.weight, 0);
      const trust = Math.min(...words.map((word) => word.trust));
      this.#mark(places, isComparison ? trust : trust * Math.min(1, weight / total));
    }
  }

  /** From left to right, the longest first, and never one inside another. */
  #findTerms(query: readonly QueryWord[]): FoundTerm[] {
    const found: FoundTerm[] = [];
    for (let start = 0; start < query.length; start += 1) {
      for (let length = Math.min(MAX_TERM_STEMS, query.length - start); length > 0; length -= 1) {
        const words = query.slice(start, start + length);
        const places = this.#termPlaces(words.map((word) => word.stem));
        if (places.length === 0) continue;
        found.push({ places, words });
        start += length - 1;
        break;
      }
    }
    return found;
  }

  #mark(places: readonly number[], value: number): void {
    for (const place of places) {
      const entry = this.#index.termEntries[place] ?? 0;
      const sense = this.#index.termSenses[place] ?? 1;
      this.#terms[entry] = Math.max(this.#terms[entry] ?? 0, value / (1 + 0.1 * (sense - 1)));
    }
  }

  /** Places in the table of terms that hold this phrase; compared with the record, since hashes may collide. */
  #termPlaces(stems: readonly string[]): number[] {
    const hash = phraseHash(stems);
    const { termHashes, termEntries } = this.#index;
    const phrase = stems.join(' ');
    const places: number[] = [];
    for (let place = firstAtLeast(termHashes, hash); termHashes[place] === hash; place += 1) {
      const { terms } = this.#index.record(termEntries[place] ?? 0);
      if (terms.some((term) => spellings(term).includes(phrase))) places.push(place);
    }
    return places;
  }
}

/** The phrases under which a term is found: as it is, and closed up where it has a hyphen (`x-ray`, `xray`). */
export function spellings(term: string): string[] {
  const phrase = stemsOf(term).join(' ');
  const closed = stemsOf(term.replaceAll('-', '')).join(' ');
  return closed === phrase ? [phrase] : [phrase, closed];
}

function firstAtLeast(sorted: Uint32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
