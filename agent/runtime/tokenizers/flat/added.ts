/** Finds added tokens in a text. */
import { literal } from './literal.ts';
import type { AddedToken } from './settings.ts';

/** Text, or an added token. */
export type Part = string | AddedToken;

export interface Classes {
  /** Matches a letter of a word. */
  readonly word: string;
  readonly space: string;
}

export class AddedTokens {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | null;
  readonly #startsWord: RegExp;
  readonly #endsWord: RegExp;
  readonly #space: RegExp;

  constructor(tokens: readonly AddedToken[], { word, space }: Classes) {
    const sought = tokens.filter(({ text }) => text !== '');
    this.#tokens = new Map(sought.map((token) => [token.text, token]));
    // Of those that begin at one place the longest counts.
    const texts = [...this.#tokens.keys()].sort((left, right) => right.length - left.length);
    this.#pattern = texts.length === 0 ? null : new RegExp(texts.map(literal).join('|'), 'g');
    this.#startsWord = new RegExp(`^${word}`, 'u');
    this.#endsWord = new RegExp(`${word}$`, 'u');
    this.#space = new RegExp(space, 'u');
  }

  /**
   * The parts of a text, in order, no text empty. Without `special`, special tokens are passed over as the Rust
   * library's `encode_special_tokens` does it: they stay text, and no other token is found in them.
   */
  parts(text: string, special: boolean): readonly Part[] {
    if (this.#pattern === null) return text === '' ? [] : [text];
    const parts: Part[] = [];
    let done = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(match[0]);
      const end = match.index + match[0].length;
      if (token === undefined || (token.special && !special)) continue;
      if (token.singleWord && this.#isInWord(text, match.index, end)) continue;
      const start = token.stripsLeft ? Math.max(this.#spaceBefore(text, match.index), done) : match.index;
      if (done < start) parts.push(text.slice(done, start));
      parts.push(token);
      done = token.stripsRight ? this.#spaceAfter(text, end) : end;
    }
    if (done !== text.length) parts.push(text.slice(done));
    return parts;
  }

  #isInWord(text: string, start: number, end: number): boolean {
    // A character has at most two units.
    const before = text.slice(Math.max(start - 2, 0), start);
    return this.#endsWord.test(before) || this.#startsWord.test(text.slice(end, end + 2));
  }

  /** Where the white space begins that ends at `end`. It is all of single units. */
  #spaceBefore(text: string, end: number): number {
    let start = end;
    while (start > 0 && this.#space.test(text.charAt(start - 1))) start -= 1;
    return start;
  }

  #spaceAfter(text: string, start: number): number {
    let end = start;
    while (end < text.length && this.#space.test(text.charAt(end))) end += 1;
    return end;
  }
}
