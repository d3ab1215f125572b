/**
 * The file of entries and words behind a retrieval expert, version 1. Little-endian, sections in this order and
 * without gaps; all numbers come before all bytes, so every number is aligned.
 *
 *     u32 x 8     'EXRI', version, entries E, words W, postings P, terms T, bytes of words B, bytes of text X
 *     f32 x 12    `Fusion`, in the order of its fields, then zeros
 *     u32 x E+1   where the record of each entry starts in the text; the last one is X
 *     u32 x W+1   where each word starts in the bytes of words; the last one is B
 *     u32 x W+1   where the postings of each word start; the last one is P
 *     u32 x P     entry of a posting
 *     u32 x T     hashes of the terms, ascending (`phraseHash`)
 *     u32 x T     entry of a term
 *     u8  x P     weight of a posting, 255 = 1: how much the entry is about the word
 *     u8  x W     weight of a word in a question, 0 to 255: 0 for words that only build sentences
 *     u8  x E     priors, 255 = 1: how likely an entry is asked for before the question is known
 *     u8  x T     sense number: 1 where people mostly mean this entry by the term
 *     u8  x B     the words (stems, UTF-8), ascending by their bytes; one without postings is known, and no entry is about it
 *     u8  x X     the records: terms separated by tabs, newline, gloss, newline, source
 *
 * All but the text is read into one buffer outside JavaScript's heap (0.6 MB for 7,000 entries); a record is read
 * from the file when it is asked for.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { AgentError } from '../../errors.ts';

export const MAGIC = 0x49525845;
export const VERSION = 1;
const HEADER_WORDS = 8;
const FUSION_FLOATS = 12;
export const HEADER_BYTES = 4 * (HEADER_WORDS + FUSION_FLOATS);

/** Weights of a logistic model: the probability that an entry is what was asked for. See `retrieval-ranking.ts`. */
export interface Fusion {
  readonly bias: number;
  readonly meaning: number;
  readonly words: number;
  readonly term: number;
  readonly touched: number;
  readonly prior: number;
  /** The same without an embedding of the question. */
  readonly biasAlone: number;
  readonly wordsAlone: number;
  readonly termAlone: number;
}
export const FUSION_FIELDS = [
  ...(['bias', 'meaning', 'words', 'term', 'touched', 'prior'] as const),
  ...(['biasAlone', 'wordsAlone', 'termAlone'] as const),
] satisfies readonly (keyof Fusion)[];

export interface EntryRecord {
  /** The first is the title. */
  readonly terms: readonly string[];
  readonly gloss: string;
  readonly source: string;
}

interface Counts {
  readonly entries: number;
  readonly words: number;
  readonly postings: number;
  readonly terms: number;
  readonly wordBytes: number;
  readonly textBytes: number;
}

export class RetrievalIndex {
  readonly fusion: Fusion;
  readonly entryCount: number;
  readonly wordCount: number;
  readonly wordOffsets: Uint32Array;
  readonly wordBytes: Buffer;
  readonly postingOffsets: Uint32Array;
  readonly postingEntries: Uint32Array;
  readonly postingWeights: Uint8Array;
  readonly termHashes: Uint32Array;
  readonly termEntries: Uint32Array;
  readonly wordWeights: Uint8Array;
  readonly priors: Uint8Array;
  readonly termSenses: Uint8Array;
  readonly #entryOffsets: Uint32Array;
  readonly #textStart: number;
  readonly #file: number;
  #closed = false;

  /** Opens the file at `path`. Throws AgentError `bad_expert` where it is not a whole and consistent index. */
  constructor(path: string) {
    this.#file = openFile(path);
    try {
      const counts = readCounts(this.#file, path);
      const head = readHead(this.#file, counts, path);
      const take = sections(head);
      this.fusion = readFusion(head, path);
      this.entryCount = counts.entries;
      this.wordCount = counts.words;
      this.#entryOffsets = take.numbers(counts.entries + 1);
      this.wordOffsets = take.numbers(counts.words + 1);
      this.postingOffsets = take.numbers(counts.words + 1);
      this.postingEntries = take.numbers(counts.postings);
      this.termHashes = take.numbers(counts.terms);
      this.termEntries = take.numbers(counts.terms);
      this.postingWeights = take.bytes(counts.postings);
      this.wordWeights = take.bytes(counts.words);
      this.priors = take.bytes(counts.entries);
      this.termSenses = take.bytes(counts.terms);
      this.wordBytes = take.bytes(counts.wordBytes);
      this.#textStart = head.length;
      checkOffsets('entry', this.#entryOffsets, counts.textBytes, path);
      checkOffsets('word', this.wordOffsets, counts.wordBytes, path);
      checkOffsets('posting', this.postingOffsets, counts.postings, path);
      checkEntries('posting', this.postingEntries, counts.entries, path);
      checkEntries('term', this.termEntries, counts.entries, path);
      checkAscending(this.termHashes, path);
      this.#checkWords(path);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The record of an entry, read from the file. `entry` is below `entryCount`. */
  record(entry: number): EntryRecord {
    const start = this.#entryOffsets[entry] ?? 0;
    const bytes = Buffer.allocUnsafe((this.#entryOffsets[entry + 1] ?? start) - start);
    const read = readSync(this.#file, bytes, 0, bytes.length, this.#textStart + start);
    const fields = bytes.toString('utf8', 0, read).split('\n');
    const [terms, gloss, source] = fields;
    if (read !== bytes.length || fields.length !== 3 || !terms || gloss === undefined || !source) {
      throw malformed(`entry ${entry} of the index is not "terms, gloss, source"`);
    }
    return { terms: terms.split('\t'), gloss, source };
  }

  /** Number of a stem among the words, or -1. */
  wordNumber(stem: string): number {
    const wanted = Buffer.from(stem);
    let low = 0;
    let high = this.wordCount - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = this.#compareWord(middle, wanted);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  word(number: number): string {
    return this.wordBytes.toString('utf8', this.wordOffsets[number], this.wordOffsets[number + 1]);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#file);
  }

  #compareWord(number: number, wanted: Uint8Array): number {
    const start = this.wordOffsets[number] ?? 0;
    return this.wordBytes.compare(wanted, 0, wanted.length, start, this.wordOffsets[number + 1]);
  }

  /** Ascending, or the binary search would miss words that are there. */
  #checkWords(path: string): void {
    for (let number = 1; number < this.wordCount; number += 1) {
      const wanted = this.wordBytes.subarray(this.wordOffsets[number], this.wordOffsets[number + 1]);
      if (this.#compareWord(number - 1, wanted) >= 0) throw malformed('words are not ascending', path);
    }
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw malformed('cannot be opened', path, cause);
  }
}

function readCounts(file: number, path: string): Counts {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(file, header, 0, HEADER_BYTES, 0) !== HEADER_BYTES || header.readUInt32LE(0) !== MAGIC) {
    throw malformed('is not a retrieval index', path);
  }
  const version = header.readUInt32LE(4);
  if (version !== VERSION) throw malformed(`has version ${version}; this expertd reads ${VERSION}`, path);
  const count = (index: number): number => header.readUInt32LE(4 * index);
  const counts = {
    entries: count(2),
    words: count(3),
    postings: count(4),
    terms: count(5),
    wordBytes: count(6),
    textBytes: count(7),
  };
  const expected = headBytes(counts) + counts.textBytes;
  const { size } = fstatSync(file);
  if (size !== expected) throw malformed(`has ${size} bytes where its header promises ${expected}`, path);
  if (counts.entries === 0) throw malformed('has no entries', path);
  return counts;
}

/** Bytes of everything before the text. */
function headBytes({ entries, words, postings, terms, wordBytes }: Counts): number {
  const numbers = entries + 1 + 2 * (words + 1) + postings + 2 * terms;
  return HEADER_BYTES + 4 * numbers + postings + words + entries + terms + wordBytes;
}

function readHead(file: number, counts: Counts, path: string): Buffer {
  const head = Buffer.from(new ArrayBuffer(headBytes(counts)));
  if (readSync(file, head, 0, head.length, 0) !== head.length)
    throw malformed('ended while it was read', path);
  return head;
}

/** Views on the sections, one after the other. */
function sections(head: Buffer): { numbers(count: number): Uint32Array; bytes(count: number): Buffer } {
  let at = HEADER_BYTES;
  return {
    numbers(count) {
      const view = new Uint32Array(head.buffer, head.byteOffset + at, count);
      at += 4 * count;
      return view;
    },
    bytes(count) {
      const view = head.subarray(at, at + count);
      at += count;
      return view;
    },
  };
}

function readFusion(head: Buffer, path: string): Fusion {
  const weight = (field: keyof Fusion): number => {
    const value = head.readFloatLE(4 * (HEADER_WORDS + FUSION_FIELDS.indexOf(field)));
    if (!Number.isFinite(value)) throw malformed(`has a weight "${field}" that is not a number`, path);
    return value;
  };
  return {
    bias: weight('bias'),
    meaning: weight('meaning'),
    words: weight('words'),
    term: weight('term'),
    touched: weight('touched'),
    prior: weight('prior'),
    biasAlone: weight('biasAlone'),
    wordsAlone: weight('wordsAlone'),
    termAlone: weight('termAlone'),
  };
}

function checkOffsets(what: string, offsets: Uint32Array, end: number, path: string): void {
  let before = 0;
  for (const offset of offsets) {
    if (offset < before) throw malformed(`${what} offsets are not ascending`, path);
    before = offset;
  }
  if (offsets[0] !== 0 || before !== end) throw malformed(`${what} offsets do not span 0 to ${end}`, path);
}

function checkEntries(what: string, entries: Uint32Array, count: number, path: string): void {
  for (const entry of entries) {
    if (entry >= count) throw malformed(`a ${what} names entry ${entry} of ${count}`, path);
  }
}

function checkAscending(hashes: Uint32Array, path: string): void {
  for (let index = 1; index < hashes.length; index += 1) {
    if ((hashes[index] ?? 0) < (hashes[index - 1] ?? 0))
      throw malformed('term hashes are not ascending', path);
  }
}

function malformed(what: string, path?: string, cause?: unknown): AgentError {
  return new AgentError('bad_expert', path === undefined ? what : `${path} ${what}`, {
    hint: 'Install the package again: the file is damaged or was made by another version.',
    cause,
  });
}
