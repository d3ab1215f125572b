/**
 * From a question to features: hashes of words and phrases. What the router reads, what the log keeps; the text itself
 * goes no further. Hashes are 32-bit FNV-1a (Fowler, Noll, Vo) over UTF-16 code units.
 */
import type { Features, Rule } from './types.ts';

/** Words beyond these, taken from the beginning and the end of the question, do not count. */
const MAX_WORDS = 128;
/** Longest phrase that is hashed, in words. */
export const MAX_PHRASE_WORDS = 3;
/** No more of a long text is looked at, half of it from each end. */
const MAX_CHARS = 8_192;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/** Features of a question, its embedding not yet known. */
export function perceive(question: string): Features {
  const words = wordsOf(clip(question));
  return {
    terms: hashes(phrases(words, MAX_PHRASE_WORDS)),
    words: hashes(words),
    chars: question.length,
    language: null,
    embedding: null,
  };
}

/** Sorted, unique hashes of single words, as a vocabulary is kept. */
export function hashWords(words: Iterable<string>): Uint32Array {
  const all: string[] = [];
  for (const word of words) all.push(...wordsOf(word));
  return hashes(all);
}

/** A rule as its author wrote it, as hashes. A phrase of more than three words is cut into its overlapping triples. */
export function hashRule(rule: { any?: string[]; all?: string[]; not?: string[] }): Rule {
  const one = (phrase: string): number[] => {
    const words = wordsOf(phrase);
    if (words.length === 0) return [];
    if (words.length <= MAX_PHRASE_WORDS) return [fnv1a(words.join(' '))];
    return Array.from({ length: words.length - MAX_PHRASE_WORDS + 1 }, (_, at) =>
      fnv1a(words.slice(at, at + MAX_PHRASE_WORDS).join(' ')),
    );
  };
  const many = (list: readonly string[] | undefined): number[] => (list ?? []).flatMap(one);
  return { any: many(rule.any), all: many(rule.all), not: many(rule.not) };
}

/** A unit vector as the router keeps it: 8-bit, times 127. */
export function quantize(vector: Float32Array): Int8Array {
  return Int8Array.from(vector, (value) => Math.max(-127, Math.min(127, Math.round(value * 127))));
}

function clip(text: string): string {
  if (text.length <= MAX_CHARS) return text;
  return `${text.slice(0, MAX_CHARS / 2)} ${text.slice(-MAX_CHARS / 2)}`;
}

function wordsOf(text: string): string[] {
  const words = text.normalize('NFKC').toLowerCase().match(WORD) ?? [];
  if (words.length <= MAX_WORDS) return words;
  return [...words.slice(0, MAX_WORDS / 2), ...words.slice(-MAX_WORDS / 2)];
}

function phrases(words: readonly string[], longest: number): string[] {
  const found: string[] = [];
  for (let length = 1; length <= longest; length++) {
    for (let at = 0; at + length <= words.length; at++) found.push(words.slice(at, at + length).join(' '));
  }
  return found;
}

function hashes(texts: readonly string[]): Uint32Array {
  return Uint32Array.from(new Set(texts.map(fnv1a))).sort();
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash >>> 0;
}
