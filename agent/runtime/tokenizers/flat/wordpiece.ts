/** WordPiece: of each word the longest piece from the left that is a token, then the longest of the rest, and so on. */
import { HASH_START, hashByte } from '../word-table.ts';
import type { ModelSettings } from './settings.ts';
import { Utf8Buffer } from './utf8.ts';
import type { Vocabulary } from './vocabulary.ts';

export type WordPieceSettings = Extract<ModelSettings, { kind: 'wordpiece' }>;

export class WordPiece {
  readonly #vocabulary: Vocabulary;
  readonly #settings: WordPieceSettings;
  readonly #encoded = new Utf8Buffer();
  /** The prefix of what continues a word, and its hash: where the hash of a continuation starts. */
  readonly #prefix: Uint8Array;
  readonly #continued: number;
  /** Room for the prefix and a word; hashes of what ends at each byte. */
  #word = new Uint8Array(256);
  #hashes = new Int32Array(256);

  constructor(vocabulary: Vocabulary, settings: WordPieceSettings) {
    this.#vocabulary = vocabulary;
    this.#settings = settings;
    this.#prefix = new TextEncoder().encode(settings.prefix);
    this.#continued = this.#prefix.reduce(hashByte, HASH_START);
  }

  /** Appends the ids of a word; a word with a part that matches nothing is unknown as a whole. */
  encode(word: string, ids: number[]): void {
    const { unknown, maxChars } = this.#settings;
    if (word.length > maxChars && [...word].length > maxChars) {
      ids.push(unknown);
      return;
    }
    this.#encoded.set(word);
    const start = this.#prefix.length;
    const end = start + this.#encoded.length;
    this.#reserve(end);
    this.#word.set(this.#encoded.bytes.subarray(0, this.#encoded.length), start);
    const first = ids.length;
    for (let at = start; at < end; ) {
      const id = this.#longest(at, end, at > start);
      if (id < 0) {
        ids.length = first;
        ids.push(unknown);
        return;
      }
      ids.push(id);
      const length = this.#vocabulary.bytesOf(id)?.length ?? 0;
      at += at > start ? length - start : length;
    }
  }

  /** Id of the longest piece at `from`; -1 if there is none. */
  #longest(from: number, end: number, inside: boolean): number {
    const [bytes, hashes] = [this.#word, this.#hashes];
    let hash = inside ? this.#continued : HASH_START;
    for (let at = from; at < end; at += 1) hashes[at] = hash = hashByte(hash, bytes[at] ?? 0);
    const start = inside ? from - this.#prefix.length : from;
    // The prefix goes over bytes of pieces that were found already.
    if (inside) bytes.set(this.#prefix, start);
    for (let to = end; to > from; to -= 1) {
      const id = this.#vocabulary.find(hashes[to - 1] ?? 0, bytes, start, to);
      if (id >= 0) return id;
    }
    return -1;
  }

  #reserve(length: number): void {
    if (length <= this.#word.length) return;
    this.#word = new Uint8Array(2 * length);
    this.#hashes = new Int32Array(2 * length);
  }
}
