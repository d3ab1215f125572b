/**
 * Writes the file of entries and words that `retrieval-index.ts` reads; the layout is described there.
 */
import {
  FUSION_FIELDS,
  type Fusion,
  HEADER_BYTES,
  MAGIC,
  VERSION,
} from '../../../agent/runtime/tasks/retrieval-index.ts';
import { spellings } from '../../../agent/runtime/tasks/retrieval-lookup.ts';
import { phraseHash, stemsOf } from '../../../agent/runtime/tasks/retrieval-words.ts';
import type { GlossaryEntry } from './entries.ts';

/** BM25's saturation and length normalisation; a word in a term counts as three in a gloss. */
const K1 = 1.2;
const B = 0.5;
const TERM_WORD = 3;

/** A common word is part of a question, but less so than a word of the field that is as rare. */
const COMMON_WORD = 0.5;

interface Posting {
  readonly entry: number;
  readonly weight: number;
}
interface TermPlace {
  readonly hash: number;
  readonly entry: number;
  readonly sense: number;
}

export interface CommonWords {
  /** Stems that only build sentences. */
  readonly silent: ReadonlySet<string>;
  /** Stems of everyday language with the share of texts that use them: known, so that none is taken for a slip. */
  readonly shares: ReadonlyMap<string, number>;
}

/** The whole file. */
export function indexFile(
  entries: readonly GlossaryEntry[],
  { silent, shares }: CommonWords,
  fusion: Fusion,
): Buffer {
  const count = entries.length;
  const postings = postingsOf(entries, silent);
  const words = [...postings].map(([stem, list]) => wordOf(stem, list, rarity(count, list.length)));
  for (const [stem, share] of shares) {
    if (postings.has(stem) || silent.has(stem)) continue;
    words.push(wordOf(stem, [], COMMON_WORD * rarity(count, Math.max(1, share * count))));
  }
  for (const stem of silent) words.push(wordOf(stem, [], 0));
  words.sort((left, right) => Buffer.compare(left.bytes, right.bytes));
  const terms = termsOf(entries, silent);
  const records = entries.map((entry) => Buffer.from(recordOf(entry)));
  const flat = words.flatMap((word) => word.list);
  const wordBytes = Buffer.concat(words.map((word) => word.bytes));
  const text = Buffer.concat(records);
  const counts = [entries.length, words.length, flat.length, terms.length, wordBytes.length, text.length];
  return Buffer.concat([
    numbers([MAGIC, VERSION, ...counts]),
    fusionBytes(fusion),
    numbers(runningTotals(records.map((record) => record.length))),
    numbers(runningTotals(words.map((word) => word.bytes.length))),
    numbers(runningTotals(words.map((word) => word.list.length))),
    numbers(flat.map((posting) => posting.entry)),
    numbers(terms.map((term) => term.hash)),
    numbers(terms.map((term) => term.entry)),
    Buffer.from(flat.map((posting) => posting.weight)),
    Buffer.from(words.map((word) => word.weight)),
    Buffer.from(entries.map((entry) => Math.round(255 * entry.prior))),
    Buffer.from(terms.map((term) => term.sense)),
    wordBytes,
    text,
  ]);
}

interface Word {
  readonly bytes: Buffer;
  readonly list: readonly Posting[];
  readonly weight: number;
}

function wordOf(stem: string, list: readonly Posting[], weight: number): Word {
  return { bytes: Buffer.from(stem), list, weight: Math.round(255 * weight) };
}

/** BM25's weight of a word that `holders` of `count` entries have, as a share of that of a word in one entry. */
function rarity(count: number, holders: number): number {
  const weight = (held: number): number => Math.log(1 + (count - held + 0.5) / (held + 0.5));
  return weight(holders) / weight(1);
}

function recordOf({ terms, gloss, source }: GlossaryEntry): string {
  return [terms.join('\t'), gloss, source].join('\n');
}

function postingsOf(entries: readonly GlossaryEntry[], never: ReadonlySet<string>): Map<string, Posting[]> {
  const counted = entries.map(countStems);
  const lengths = counted.map((stems) => [...stems.values()].reduce((sum, count) => sum + count, 0));
  const meanLength = lengths.reduce((sum, length) => sum + length, 0) / entries.length;
  const postings = new Map<string, Posting[]>();
  counted.forEach((stems, entry) => {
    const norm = K1 * (1 - B + (B * (lengths[entry] ?? 0)) / meanLength);
    for (const [stem, count] of stems) {
      if (never.has(stem)) continue;
      const list = postings.get(stem) ?? [];
      list.push({ entry, weight: Math.max(1, Math.round((255 * count) / (count + norm))) });
      postings.set(stem, list);
    }
  });
  return postings;
}

/** A word that is in several terms of one entry counts once as a term's word. */
function countStems(entry: GlossaryEntry): Map<string, number> {
  const counts = new Map<string, number>();
  for (const stem of stemsOf(entry.gloss)) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  const inTerms = new Set(entry.terms.flatMap((term) => spellings(term)).flatMap((term) => term.split(' ')));
  for (const stem of inTerms) counts.set(stem, (counts.get(stem) ?? 0) + TERM_WORD);
  return counts;
}

/** Without terms made of nothing but function words: `OR`, `it`. */
function termsOf(entries: readonly GlossaryEntry[], never: ReadonlySet<string>): TermPlace[] {
  const places = entries.flatMap(({ terms, senses }, entry) => {
    const senseOf = new Map<string, number>();
    terms.forEach((term, at) => {
      const sense = senses[at] ?? 1;
      for (const phrase of spellings(term)) senseOf.set(phrase, Math.min(sense, senseOf.get(phrase) ?? 255));
    });
    return [...senseOf]
      .filter(([phrase]) => phrase.split(' ').some((stem) => !never.has(stem)))
      .map(([phrase, sense]) => ({ hash: phraseHash(phrase.split(' ')), entry, sense }));
  });
  return places.sort((left, right) => left.hash - right.hash || left.entry - right.entry);
}

function runningTotals(lengths: readonly number[]): number[] {
  const totals = [0];
  let total = 0;
  for (const length of lengths) {
    total += length;
    totals.push(total);
  }
  return totals;
}

function numbers(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => {
    bytes.writeUInt32LE(value, 4 * at);
  });
  return bytes;
}

function fusionBytes(fusion: Fusion): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES - 32);
  FUSION_FIELDS.forEach((field, at) => {
    bytes.writeFloatLE(fusion[field], 4 * at);
  });
  return bytes;
}
