/**
 * Where a text may be changed. Not in code, addresses and numbers, and not in a word that has an accent already:
 * whoever wrote it can write accents.
 */
import type { Letters } from './rewriting-alphabet.ts';

export interface Places {
  /** The indices of letters that may be changed, in order. */
  readonly open: readonly number[];
  /** How many letters in words, outside code, are such as the model could have made. */
  readonly kept: number;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** From a fence to a fence, or from a backtick to one in the same line. What is never closed is no code. */
const FENCED = /```[^`]*```|`[^`\n]+`/g;
const TOKEN = /\S+/g;
/** scripts/experts/accents-fr/alphabet.py has the same rule. */
const CODE = [/[\d@/\\_=<>{}#$^+&`]/, /[\p{L}\p{N}](?:\.|::?)[\p{L}\p{N}]/u, /^--/, /\p{Ll}\p{Lu}/u];
const WORD = /[\p{L}\p{M}]+/gu;
const ACCENTED = /\p{M}/u;

/** Looks at `text`, which is in NFC. Linear in its length. */
export function findPlaces(text: string, letters: Letters): Places {
  const open: number[] = [];
  let kept = 0;
  for (const { start, end } of proseTokens(text)) {
    for (const { index, 0: word } of text.slice(start, end).matchAll(WORD)) {
      if (ACCENTED.test(word.normalize('NFD'))) {
        for (const letter of word) if (letters.canMake(letter)) kept += 1;
        continue;
      }
      for (let at = 0; at < word.length; at += 1) {
        if (letters.canChange(word.charAt(at))) open.push(start + index + at);
      }
    }
  }
  return { open, kept };
}

/** Pieces between white space that are neither code nor inside it. */
function* proseTokens(text: string): Generator<Span> {
  const fenced = [...text.matchAll(FENCED)].map((match) => spanOf(match));
  let next = 0;
  for (const match of text.matchAll(TOKEN)) {
    const span = spanOf(match);
    while ((fenced[next]?.end ?? Number.POSITIVE_INFINITY) <= span.start) next += 1;
    const isFenced = (fenced[next]?.start ?? Number.POSITIVE_INFINITY) < span.end;
    if (!isFenced && !CODE.some((mark) => mark.test(match[0]))) yield span;
  }
}

function spanOf(match: RegExpExecArray): Span {
  return { start: match.index, end: match.index + match[0].length };
}
