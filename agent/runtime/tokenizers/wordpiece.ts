/**
 * BERT's tokenizer over a flat vocabulary. It does what `@huggingface/tokenizers` does with a BertNormalizer, a
 * BertPreTokenizer and WordPiece, but a MiniLM expert takes 13 MB with it and 18 with the library (while it loads 15 and
 * 24), and it agrees with the Rust `tokenizers` on 8,000 of 8,000 odd texts, the library on 6,259: see
 * experts/embedder/README.md.
 *
 * One difference is meant: `[SEP]`, `[MASK]` and the like in a text are text, never control tokens.
 */
import { AgentError } from '../../errors.ts';
import { HASH_START, hashByte, WordTable } from './word-table.ts';

/** Longer words become the unknown token (`max_input_chars_per_word`). */
const MAX_WORD_CHARS = 100;
const CONTINUATION = new TextEncoder().encode('##');
/** Characters that BERT takes apart one by one: CJK ideographs. */
const IDEOGRAPH =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
/** Controls, but not the code points that Unicode has not assigned yet. */
const DROPPED = /\ufffd|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;
/** A punctuation mark, or a run of what is neither that nor space. */
const PIECE = /[!-/:-@[-`{-~\p{P}]|[^\p{White_Space}!-/:-@[-`{-~\p{P}]+/gu;

export interface WordPieceSettings {
  readonly lowercase: boolean;
  readonly stripAccents: boolean;
  readonly splitIdeographs: boolean;
  readonly unknown: string;
  /** First and last token of every text. */
  readonly first: string;
  readonly last: string;
}

export class WordPieceTokenizer {
  readonly #vocabulary: WordTable;
  readonly #settings: WordPieceSettings;
  readonly #unknown: number;
  readonly #first: number;
  readonly #last: number;
  /** Hash of `##`: where the hash of a continuation starts. */
  readonly #continued = CONTINUATION.reduce(hashByte, HASH_START);
  /** `##` and a word of 100 characters; ends of its prefixes' hashes. */
  readonly #word = new Uint8Array(2 + 4 * MAX_WORD_CHARS);
  readonly #hashes = new Int32Array(this.#word.length);

  /** `vocabulary` is a `vocab.txt`. Throws `bad_expert` if a special token is not in it. */
  constructor(vocabulary: Uint8Array, name: string, settings: WordPieceSettings) {
    this.#vocabulary = new WordTable(vocabulary, name);
    this.#settings = settings;
    const idOf = (token: string): number => {
      const id = this.#vocabulary.idOf(token);
      if (id >= 0) return id;
      throw new AgentError('bad_expert', `${name} has no token ${token}.`, {
        hint: 'Fetch the expert again.',
      });
    };
    this.#unknown = idOf(settings.unknown);
    this.#first = idOf(settings.first);
    this.#last = idOf(settings.last);
    this.#word.set(CONTINUATION);
  }

  /** Ids of one text: the first token, at most `maxTokens - 2` pieces, the last token. */
  encode(text: string, maxTokens: number): readonly number[] {
    const ids = [this.#first];
    for (const [word] of this.#normalize(text).matchAll(PIECE)) {
      if (ids.length >= maxTokens - 1) break;
      this.#addPieces(word, ids);
    }
    ids.length = Math.min(ids.length, maxTokens - 1);
    ids.push(this.#last);
    return ids;
  }

  /** BertNormalizer, in its order: clean, split ideographs, strip accents, lower case. */
  #normalize(text: string): string {
    const { lowercase, stripAccents, splitIdeographs } = this.#settings;
    let clean = text.replace(DROPPED, '');
    if (splitIdeographs) clean = clean.replace(IDEOGRAPH, ' $& ');
    if (stripAccents) clean = clean.normalize('NFD').replace(/\p{Mn}/gu, '');
    // Character by character: a sigma at the end of a word stays a common sigma.
    return lowercase ? clean.replaceAll('\u03a3', '\u03c3').toLowerCase() : clean;
  }

  /** Greedy longest match from the left; a word with a part that matches nothing is unknown as a whole. */
  #addPieces(word: string, ids: number[]): void {
    if (word.length > MAX_WORD_CHARS && [...word].length > MAX_WORD_CHARS) {
      ids.push(this.#unknown);
      return;
    }
    const end = 2 + new TextEncoder().encodeInto(word, this.#word.subarray(2)).written;
    const firstPiece = ids.length;
    for (let at = 2; at < end; ) {
      const [id, next] = this.#longest(at, end);
      if (id < 0) {
        ids.length = firstPiece;
        ids.push(this.#unknown);
        return;
      }
      ids.push(id);
      at = next;
    }
  }

  /** The longest piece at `from` and where it ends; id -1 if there is none. */
  #longest(from: number, end: number): readonly [number, number] {
    const bytes = this.#word;
    const inside = from > 2;
    let hash = inside ? this.#continued : HASH_START;
    for (let at = from; at < end; at += 1) this.#hashes[at] = hash = hashByte(hash, bytes[at] ?? 0);
    // `##` goes over the two bytes before: they are of pieces that were found already.
    if (inside) bytes.set(CONTINUATION, from - 2);
    for (let to = end; to > from; to -= 1) {
      const id = this.#vocabulary.find(this.#hashes[to - 1] ?? 0, bytes, inside ? from - 2 : from, to);
      if (id >= 0) return [id, to];
    }
    return [-1, end];
  }
}
