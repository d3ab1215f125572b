/**
 * fastText's input: ids of words, of hashed character n-grams, and of the end of the line. It follows
 * `Dictionary::getLine`, `addSubwords` and `computeSubwords` of fastText 0.9 for quantised models, whose n-gram rows
 * were pruned: an n-gram without a row counts for nothing.
 *
 * The dictionary file, little-endian: the bytes `FTDICT01`; u32 words, u32 bytes of the words, u32 n-grams; the words
 * in the order of ids, one a line, padded with newlines to a multiple of four; a u32 hash bucket for each n-gram, in
 * the order of rows. Row `words + i` of the input matrix belongs to n-gram i.
 */
import { AgentError } from '../../errors.ts';
import { HASH_START, hashByte, WordTable } from './word-table.ts';

const MAGIC = 'FTDICT01';
const HEADER_BYTES = 20;
const NEWLINE = 10;
const END_OF_LINE = '</s>';
const LABEL_PREFIX = new TextEncoder().encode('__label__');
const WORD_START = 60; // <
const WORD_END = 62; // >

export interface FastTextSettings {
  /** Shortest and longest n-gram, in characters. */
  readonly minChars: number;
  readonly maxChars: number;
  /** N-grams are hashed into this many buckets. */
  readonly buckets: number;
  /** Most ids of a text; what comes later in it is not looked at. */
  readonly maxTokens: number;
}

export class FastTextTokenizer {
  readonly #words: WordTable;
  readonly #ngrams: BucketTable;
  readonly #endId: number;
  readonly #settings: FastTextSettings;

  /** Parses a dictionary file. Throws `bad_expert` for anything but a whole and consistent one. */
  constructor(file: Uint8Array, name: string, settings: FastTextSettings) {
    const { wordCount, words, buckets } = readSections(file, name);
    this.#settings = settings;
    this.#words = new WordTable(words, name);
    if (this.#words.size !== wordCount)
      throw damaged(name, `${this.#words.size} words where ${wordCount} are due`);
    this.#endId = this.#words.idOf(END_OF_LINE);
    if (this.#endId < 0) throw damaged(name, `no word ${END_OF_LINE}`);
    this.#ngrams = new BucketTable(buckets, settings.buckets, name);
  }

  /** Rows of the input matrix: ids are below it. */
  get rows(): number {
    return this.#words.size + this.#ngrams.size;
  }

  /**
   * Ids of one text, at most `maxTokens`, the end of the line last. As in fastText, words that begin with `__label__`
   * count for nothing. Unlike there, neither a line break nor `</s>` ends the text: both only separate words.
   */
  encode(text: string): Int32Array {
    const bytes = new TextEncoder().encode(text);
    const ids = new IdList(this.#settings.maxTokens - 1);
    const padded = new Uint8Array(bytes.length + 2);
    for (let from = 0; from < bytes.length && !ids.full; ) {
      if (isSpace(bytes[from] ?? 0)) {
        from += 1;
        continue;
      }
      const start = from;
      let hash = HASH_START;
      for (; from < bytes.length && !isSpace(bytes[from] ?? 0); from += 1)
        hash = hashByte(hash, bytes[from] ?? 0);
      this.#addWord(bytes, start, from, hash, padded, ids);
    }
    return ids.endingWith(this.#endId);
  }

  #addWord(bytes: Uint8Array, from: number, to: number, hash: number, padded: Uint8Array, ids: IdList): void {
    const id = this.#words.find(hash, bytes, from, to);
    if (id === this.#endId || (id < 0 && startsWith(bytes, from, to, LABEL_PREFIX))) return;
    if (id >= 0) ids.add(id);
    if (this.#ngrams.size === 0) return;
    padded[0] = WORD_START;
    padded.set(bytes.subarray(from, to), 1);
    padded[to - from + 1] = WORD_END;
    this.#addNgrams(padded, to - from + 2, ids);
  }

  /** N-grams of `<word>`: counted in characters, hashed as bytes; its first and last character alone are none. */
  #addNgrams(word: Uint8Array, length: number, ids: IdList): void {
    const { minChars, maxChars, buckets } = this.#settings;
    for (let start = 0; start < length && !ids.full; start += 1) {
      if (isContinuation(word[start] ?? 0)) continue;
      let hash = HASH_START;
      for (let end = start, chars = 1; end < length && chars <= maxChars; chars += 1) {
        do hash = hashByte(hash, word[end++] ?? 0);
        while (end < length && isContinuation(word[end] ?? 0));
        if (chars < minChars || (chars === 1 && (start === 0 || end === length))) continue;
        const row = this.#ngrams.find((hash >>> 0) % buckets);
        if (row >= 0) ids.add(this.#words.size + row);
      }
    }
  }
}

/** Bucket -> row, open addressing at half load at most. */
class BucketTable {
  readonly #buckets: Uint32Array;
  readonly #slots: Int32Array;

  constructor(buckets: Uint32Array, limit: number, name: string) {
    this.#buckets = buckets;
    this.#slots = new Int32Array(1 << (33 - Math.clz32(Math.max(buckets.length, 1))));
    buckets.forEach((bucket, row) => {
      if (bucket >= limit)
        throw damaged(name, `bucket ${bucket} of n-gram ${row}, where ${limit} is the limit`);
      const slot = this.#slot(bucket);
      if (this.#slots[slot] !== 0) throw damaged(name, `bucket ${bucket} twice`);
      this.#slots[slot] = row + 1;
    });
  }

  get size(): number {
    return this.#buckets.length;
  }

  find(bucket: number): number {
    return (this.#slots[this.#slot(bucket)] ?? 0) - 1;
  }

  /** Where the bucket is, or the free slot where it would be. */
  #slot(bucket: number): number {
    const mask = this.#slots.length - 1;
    let slot = Math.imul(bucket, 0x9e3779b1) >>> Math.clz32(mask);
    for (;;) {
      const row = (this.#slots[slot] ?? 0) - 1;
      if (row < 0 || this.#buckets[row] === bucket) return slot;
      slot = (slot + 1) & mask;
    }
  }
}

/** A list of ids that stops growing at its limit. */
class IdList {
  readonly #limit: number;
  #ids = new Int32Array(256);
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#length >= this.#limit;
  }

  add(id: number): void {
    if (this.full) return;
    this.#append(id);
  }

  /** The ids and one more, past the limit. */
  endingWith(id: number): Int32Array {
    this.#append(id);
    return this.#ids.subarray(0, this.#length);
  }

  #append(id: number): void {
    if (this.#length === this.#ids.length) {
      const longer = new Int32Array(2 * this.#length);
      longer.set(this.#ids);
      this.#ids = longer;
    }
    this.#ids[this.#length++] = id;
  }
}

interface Sections {
  readonly wordCount: number;
  readonly words: Uint8Array;
  readonly buckets: Uint32Array;
}

function readSections(file: Uint8Array, name: string): Sections {
  if (file.length < HEADER_BYTES || new TextDecoder('latin1').decode(file.subarray(0, 8)) !== MAGIC) {
    throw damaged(name, `it does not begin with ${MAGIC}`);
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [wordCount, wordBytes, ngramCount] = [8, 12, 16].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
  ];
  const due = HEADER_BYTES + wordBytes + 4 * ngramCount;
  if (due !== file.length) throw damaged(name, `${file.length} bytes where ${due} are due`);
  let end = HEADER_BYTES + wordBytes;
  // The padding is newlines: keep one, the end of the last word.
  while (end > HEADER_BYTES + 1 && file[end - 1] === NEWLINE && file[end - 2] === NEWLINE) end -= 1;
  const buckets = new Uint32Array(ngramCount);
  for (let row = 0; row < ngramCount; row += 1) {
    buckets[row] = view.getUint32(HEADER_BYTES + wordBytes + 4 * row, true);
  }
  return { wordCount, words: file.slice(HEADER_BYTES, end), buckets };
}

function damaged(name: string, what: string): AgentError {
  return new AgentError('bad_expert', `${name} is not a dictionary that can be read: ${what}.`, {
    hint: 'Fetch the expert again, or rebuild its dictionary.',
  });
}

/** What fastText's `readWord` takes for a space. */
function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13) || byte === 0;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function startsWith(bytes: Uint8Array, from: number, to: number, prefix: Uint8Array): boolean {
  return to - from >= prefix.length && prefix.every((byte, at) => bytes[from + at] === byte);
}
