/**
 * Counts hashed words and pairs of neighbouring words: no dictionary, so a new word has a place too. Words are in
 * lower case with every digit as 0; `!`, `?`, `%` and signs of money count as words, and so does the fact that a word
 * is all capitals. scripts/experts/spam/features.py does the same for training.
 */
import { type Counted, type CountingTokenizer, NOTHING } from './counted.ts';

const TOKEN = /[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*|[!?]+|[$€£%]/gu;
const MARKS = '!?$€£%';
const LONGEST_MARK = 3;
const CAPITALS = '^caps';
const SHORTEST_CAPITALS = 4;
const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** 2^32 divided by the golden ratio: moves what differs into the high bits (Knuth's Fibonacci hashing). */
const GOLDEN = 0x9e3779b1;

export interface HashedWordSettings {
  /** There are 2 to the power of `bits` features. */
  readonly bits: number;
  /** Words after the first `maxWords` of a text are not looked at. */
  readonly maxWords: number;
}

export class HashedWords implements CountingTokenizer {
  readonly features: number;
  readonly #shift: number;
  readonly #maxWords: number;

  constructor({ bits, maxWords }: HashedWordSettings) {
    this.features = 2 ** bits;
    this.#shift = 32 - bits;
    this.#maxWords = maxWords;
  }

  count(text: string): Counted {
    const words = this.#words(text);
    const [first] = words;
    if (first === undefined) return NOTHING;
    const counts = new Map<number, number>();
    const add = (hash: number): void => {
      const id = Math.imul(hash, GOLDEN) >>> this.#shift;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    };
    for (const word of words) add(fnv1a(FNV_START, word));
    let previous = first;
    for (const word of words.slice(1)) {
      add(fnv1a(fnv1a(FNV_START, previous), ` ${word}`));
      previous = word;
    }
    return {
      ids: Int32Array.from(counts.keys()),
      counts: Float32Array.from(counts.values()),
      total: words.length,
    };
  }

  /** The first words, as they are counted. */
  #words(text: string): readonly string[] {
    const words: string[] = [];
    for (const [token] of text.normalize('NFKC').matchAll(TOKEN)) {
      if (words.length >= this.#maxWords) break;
      if (MARKS.includes(token.charAt(0))) {
        words.push(token.slice(0, LONGEST_MARK));
        continue;
      }
      const lower = token.toLowerCase();
      const capitals = token.length >= SHORTEST_CAPITALS && token !== lower && token === token.toUpperCase();
      if (capitals) words.push(CAPITALS);
      words.push(lower.replace(/\p{Nd}/gu, '0'));
    }
    return words.slice(0, this.#maxWords);
  }
}

/** FNV-1a over UTF-16, low byte first, going on from `hash`. */
function fnv1a(hash: number, text: string): number {
  let value = hash;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    value = Math.imul(value ^ (unit & 0xff), FNV_PRIME);
    value = Math.imul(value ^ (unit >>> 8), FNV_PRIME);
  }
  return value;
}
