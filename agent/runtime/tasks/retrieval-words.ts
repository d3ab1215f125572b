/**
 * How text becomes the words of a retrieval index. The maker of an index and the task that asks it share this file,
 * so that both always cut the same words.
 */

/** Longest text that is looked at, in characters: more adds time and no better answer. */
const MAX_CHARS = 4_096;

const MARKS = /\p{M}+/gu;
const APOSTROPHES = /['’ʼ]/gu;
/** Letters and digits; `C++` and `C#` are other words than `C`. */
const WORD = /[\p{L}\p{N}]+(?:(?:\+\+|#)(?![\p{L}\p{N}]))?/gu;

/** The stems of `text` in order: lower case, without accents, apostrophes closed up, plural endings taken off. */
export function stemsOf(text: string): string[] {
  const plain = text.slice(0, MAX_CHARS).normalize('NFKD').replace(MARKS, '').replace(APOSTROPHES, '');
  return (plain.toLowerCase().match(WORD) ?? []).map(stem);
}

/**
 * Takes off the plural ending, and no more, by Harman's "S" stemmer (How effective is suffixing?, JASIS 42(1), 1991):
 * the first of three rules that fits ends it. Medical words are told apart by the suffixes that others cut.
 */
export function stem(word: string): string {
  if (word.length < 4 || !word.endsWith('s')) return word;
  if (word.endsWith('ies')) return /[ae]ies$/.test(word) ? word : `${word.slice(0, -3)}y`;
  if (word.endsWith('es')) return /[aeo]es$/.test(word) ? word : word.slice(0, -1);
  return /[us]s$/.test(word) || word.endsWith('is') ? word : word.slice(0, -1);
}

/** FNV-1a, 32 bit, over the UTF-8 bytes of the stems with one space between: how an index names a term. */
export function phraseHash(stems: readonly string[]): number {
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(stems.join(' '))) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
const encoder = new TextEncoder();
