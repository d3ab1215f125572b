/**
 * Counts pairs of neighbouring bytes, as guesslang reads source code: which pairs a text has and how often, not where.
 * The 128 ASCII bytes are kinds of their own, all others are one more kind; a pair's id is `129 * first + second`.
 */
import { type Counted, type CountingTokenizer, NOTHING } from './counted.ts';

const ASCII = 128;
const KINDS = ASCII + 1;
/** A character takes at most this many bytes, and never one more than there is room for. */
const CHARACTER_BYTES = 4;

export interface BytePairSettings {
  /** Pairs after the first `maxPairs` of a text are not looked at. */
  readonly maxPairs: number;
  /** A text with fewer pairs counts as if it were repeated until it has as many; nothing, if this is missing. */
  readonly leastPairs?: number | undefined;
}

export class BytePairs implements CountingTokenizer {
  readonly features = KINDS * KINDS;
  readonly #maxPairs: number;
  readonly #leastPairs: number;
  readonly #bytes: Uint8Array;
  /** Count of each pair; all 0 between two texts. */
  readonly #counts = new Uint32Array(this.features);

  constructor({ maxPairs, leastPairs = 0 }: BytePairSettings) {
    this.#maxPairs = maxPairs;
    this.#leastPairs = leastPairs;
    this.#bytes = new Uint8Array(maxPairs + 1 + CHARACTER_BYTES);
  }

  /** Lines end with one newline, however they end in `text`. */
  count(text: string): Counted {
    // A line end of two characters leaves one byte, so twice the room is enough of the text.
    const beginning = text.slice(0, 2 * this.#bytes.length).replaceAll('\r\n', '\n');
    const { written } = new TextEncoder().encodeInto(beginning, this.#bytes);
    const total = Math.max(0, Math.min(written - 1, this.#maxPairs));
    if (total === 0) return NOTHING;
    const ids = this.#add(total);
    const weight = Math.max(1, this.#leastPairs / total);
    const counts = Float32Array.from(ids, (id) => (this.#counts[id] ?? 0) * weight);
    for (const id of ids) this.#counts[id] = 0;
    return { ids, counts, total };
  }

  /** Counts the first `total` pairs; returns the different ones. */
  #add(total: number): Int32Array {
    const ids = new Int32Array(total);
    let different = 0;
    let first = kindOf(this.#bytes[0] ?? 0);
    for (let at = 1; at <= total; at += 1) {
      const second = kindOf(this.#bytes[at] ?? 0);
      const id = first * KINDS + second;
      const count = this.#counts[id] ?? 0;
      if (count === 0) ids[different++] = id;
      this.#counts[id] = count + 1;
      first = second;
    }
    return ids.slice(0, different);
  }
}

function kindOf(byte: number): number {
  return Math.min(byte, ASCII);
}
