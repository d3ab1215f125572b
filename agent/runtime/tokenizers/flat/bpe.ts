/**
 * Byte-pair encoding. A word begins as its bytes or characters; of all pairs that merge, the one of the lowest rank
 * (of equal ones, the first) becomes one token, until none does.
 */

import { type Merges, NEVER } from './merges.ts';
import type { ModelSettings } from './settings.ts';
import { charBytes, Utf8Buffer } from './utf8.ts';
import { hashOf, type Vocabulary } from './vocabulary.ts';

export type BpeSettings = Extract<ModelSettings, { kind: 'bpe' }>;

/** Words with more symbols than this go through the heap: looking for the lowest rank anew costs their square. */
const SHORT = 32;

export class Bpe {
  readonly #vocabulary: Vocabulary;
  readonly #merges: Merges;
  readonly #settings: BpeSettings;
  readonly #word = new Utf8Buffer();
  /** Ids of single bytes where tokens are bytes, else of the tokens `<0x00>` to `<0xFF>`; -1 for none. */
  readonly #byteIds: Int32Array;
  readonly #ranks = new Uint32Array(SHORT);

  constructor(vocabulary: Vocabulary, merges: Merges, settings: BpeSettings) {
    this.#vocabulary = vocabulary;
    this.#merges = merges;
    this.#settings = settings;
    this.#byteIds = Int32Array.from({ length: 256 }, (_, byte) => {
      const name = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
      return vocabulary.idOf(settings.bytes ? Uint8Array.of(byte) : new TextEncoder().encode(name));
    });
  }

  /** Appends the ids of a word. */
  encode(word: string, ids: number[]): void {
    this.#word.set(word);
    const { hash, bytes, length } = this.#word;
    const id = this.#vocabulary.find(hash, bytes, 0, length);
    if (id >= 0 && this.#vocabulary.isWhole(id)) ids.push(id);
    else this.#merge(this.#symbols(), ids);
  }

  /** Appends the ids of a word that is given by its bytes, by merging alone. */
  encodeBytes(word: Uint8Array, ids: number[]): void {
    this.#word.setBytes(word);
    this.#merge(this.#symbols(), ids);
  }

  #symbols(): number[] {
    return this.#settings.bytes ? this.#byteSymbols() : this.#charSymbols();
  }

  #byteSymbols(): number[] {
    const { bytes, length } = this.#word;
    const symbols: number[] = [];
    const unknown = new Unknown(symbols, this.#settings);
    for (let at = 0; at < length; at += 1) {
      const id = this.#byteIds[bytes[at] ?? 0] ?? -1;
      if (id >= 0) unknown.known(id);
      else unknown.unknown();
    }
    unknown.flush();
    return symbols;
  }

  #charSymbols(): number[] {
    const { bytes, length } = this.#word;
    const symbols: number[] = [];
    const unknown = new Unknown(symbols, this.#settings);
    for (let at = 0; at < length; ) {
      const end = at + charBytes(bytes[at] ?? 0);
      const id = this.#vocabulary.find(hashOf(bytes, at, end), bytes, at, end);
      if (id >= 0) unknown.known(id);
      else if (!this.#settings.byteFallback || !this.#fallBack(bytes, at, end, symbols)) unknown.unknown();
      at = end;
    }
    unknown.flush();
    return symbols;
  }

  /** The tokens of a character's bytes, if all have one. */
  #fallBack(bytes: Uint8Array, from: number, to: number, symbols: number[]): boolean {
    for (let at = from; at < to; at += 1) if ((this.#byteIds[bytes[at] ?? 0] ?? -1) < 0) return false;
    for (let at = from; at < to; at += 1) symbols.push(this.#byteIds[bytes[at] ?? 0] ?? 0);
    return true;
  }

  #merge(symbols: number[], ids: number[]): void {
    if (symbols.length <= SHORT) this.#mergeShort(symbols);
    else new LongMerge(symbols, this.#merges).run(symbols);
    for (const id of symbols) ids.push(id);
  }

  #mergeShort(symbols: number[]): void {
    const ranks = this.#ranks;
    const merges = this.#merges;
    const rank = (at: number): number =>
      at >= 0 && at + 1 < symbols.length ? merges.rank(symbols[at] ?? 0, symbols[at + 1] ?? 0) : NEVER;
    for (let at = 0; at < symbols.length; at += 1) ranks[at] = rank(at);
    for (;;) {
      let best = NEVER;
      let place = -1;
      for (let at = 0; at + 1 < symbols.length; at += 1) {
        const found = ranks[at] ?? NEVER;
        if (found >= best) continue;
        best = found;
        place = at;
      }
      if (place < 0) return;
      symbols[place] = merges.result(best);
      for (let at = place + 1; at + 1 < symbols.length; at += 1) {
        symbols[at] = symbols[at + 1] ?? 0;
        ranks[at] = ranks[at + 1] ?? NEVER;
      }
      symbols.length -= 1;
      if (place > 0) ranks[place - 1] = rank(place - 1);
      ranks[place] = rank(place);
    }
  }
}

/**
 * Puts unknown tokens among the symbols, as the Rust library does: the last one waits for what follows. A character
 * that falls back to bytes does not end the wait, so its bytes come before the unknown token that it followed.
 */
class Unknown {
  readonly #symbols: number[];
  readonly #settings: BpeSettings;
  #waiting = false;

  constructor(symbols: number[], settings: BpeSettings) {
    this.#symbols = symbols;
    this.#settings = settings;
  }

  known(id: number): void {
    this.flush();
    this.#symbols.push(id);
  }

  unknown(): void {
    if (this.#settings.unknown === null) return;
    if (!this.#settings.fuseUnknown) this.flush();
    this.#waiting = true;
  }

  flush(): void {
    if (this.#waiting && this.#settings.unknown !== null) this.#symbols.push(this.#settings.unknown);
    this.#waiting = false;
  }
}

/** Places are below this, so that a rank and a place are one exact number. */
const PLACES = 2 ** 31;

/** Merges a long word: a heap of pairs by rank and place. */
class LongMerge {
  readonly #ids: Uint32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #merges: Merges;
  /** `rank * PLACES + place`, the least first. Entries of pairs that are no more stay until they come up. */
  readonly #heap: Float64Array;
  #entries = 0;

  constructor(symbols: readonly number[], merges: Merges) {
    const { length } = symbols;
    this.#merges = merges;
    this.#ids = Uint32Array.from(symbols);
    this.#next = Int32Array.from({ length }, (_, at) => (at + 1 < length ? at + 1 : -1));
    this.#previous = Int32Array.from({ length }, (_, at) => at - 1);
    // A pair each at first, and at most two more for each of the `length - 1` merges.
    this.#heap = new Float64Array(3 * length);
  }

  /** Replaces `symbols` by what they merge to. */
  run(symbols: number[]): void {
    const [ids, next] = [this.#ids, this.#next];
    for (let at = 0; at + 1 < ids.length; at += 1) this.#push(at);
    while (this.#entries > 0) {
      const entry = this.#pop();
      const rank = Math.floor(entry / PLACES);
      const place = entry - rank * PLACES;
      if (this.#rank(place) === rank) this.#join(place, rank);
    }
    symbols.length = 0;
    for (let at = 0; at >= 0; at = next[at] ?? -1) symbols.push(ids[at] ?? 0);
  }

  /** Rank of the symbol at `place` and the one after it; `NEVER` if either is gone. */
  #rank(place: number): number {
    const after = this.#next[place] ?? -1;
    return after < 0 ? NEVER : this.#merges.rank(this.#ids[place] ?? 0, this.#ids[after] ?? 0);
  }

  #join(place: number, rank: number): void {
    const gone = this.#next[place] ?? 0;
    const after = this.#next[gone] ?? -1;
    this.#ids[place] = this.#merges.result(rank);
    this.#next[place] = after;
    this.#next[gone] = -1;
    if (after >= 0) {
      this.#previous[after] = place;
      this.#push(place);
    }
    const before = this.#previous[place] ?? -1;
    if (before >= 0) this.#push(before);
  }

  #push(place: number): void {
    const rank = this.#rank(place);
    if (rank === NEVER) return;
    const heap = this.#heap;
    const entry = rank * PLACES + place;
    let at = this.#entries++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] ?? 0;
      if (above <= entry) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0] ?? 0;
    const entry = heap[--this.#entries] ?? 0;
    const end = this.#entries;
    let at = 0;
    for (let child = 1; child < end; child = 2 * at + 1) {
      if (child + 1 < end && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
      const below = heap[child] ?? 0;
      if (below >= entry) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = entry;
    return top;
  }
}
