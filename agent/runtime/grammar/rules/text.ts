/** JSON strings. */
import { COUNTS, ENOUGH, FREE, type Guard, type Nfa, type Rule } from '../nfa.ts';
import { addCharacters } from './utf8.ts';

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const LAST_CHARACTER = 0x10ffff;

/** Any string; `bounded` gives the same one between two numbers of characters. */
export class Strings {
  readonly any: Rule;
  readonly #nfa: Nfa;

  constructor(nfa: Nfa) {
    this.#nfa = nfa;
    this.any = nfa.leaf((start, end) => {
      const inside = nfa.state();
      nfa.range(start, QUOTE, QUOTE, inside);
      addPlain(nfa, inside, inside, COUNTS);
      addEscapes(nfa, inside, inside, COUNTS);
      nfa.range(inside, QUOTE, QUOTE, end, ENOUGH);
    });
  }

  /** Strings of `least` to `most` characters (code points), which share all states of the automaton. */
  bounded(least: number, most: number): Rule {
    return Object.assign(this.#nfa.rule(), { start: this.any.start, leaf: true, least, most });
  }
}

/** Characters that may stand in a string as they are. */
export function addPlain(nfa: Nfa, from: number, to: number, guard: Guard = FREE): void {
  addCharacters(nfa, from, SPACE, QUOTE - 1, to, guard);
  addCharacters(nfa, from, QUOTE + 1, BACKSLASH - 1, to, guard);
  addCharacters(nfa, from, BACKSLASH + 1, LAST_CHARACTER, to, guard);
}

/** Escapes of one character; half of a surrogate pair never stands alone, which JSON allows and UTF-8 does not. */
function addEscapes(nfa: Nfa, from: number, to: number, guard: Guard): void {
  const [escaped, last, second, third] = [nfa.state(), nfa.state(), nfa.state(), nfa.state()];
  nfa.range(from, BACKSLASH, BACKSLASH, escaped, guard);
  for (const letter of '"\\/bfnrt') addLetters(nfa, escaped, letter, to);
  addLetters(nfa, last, '0123456789abcdefABCDEF', to);
  addLetters(nfa, second, '0123456789abcdefABCDEF', last);
  addLetters(nfa, third, '0123456789abcdefABCDEF', second);
  const first = nfa.text(escaped, 'u');
  addLetters(nfa, first, '0123456789abcefABCEF', third);
  const surrogate = nfa.state();
  addLetters(nfa, first, 'dD', surrogate);
  addLetters(nfa, surrogate, '01234567', second);
  addPair(nfa, surrogate, second);
}

/** From the second digit of the first half of a surrogate pair on; `second` is before the last two digits of the other. */
function addPair(nfa: Nfa, surrogate: number, second: number): void {
  const [third, last, half] = [nfa.state(), nfa.state(), nfa.state()];
  addLetters(nfa, surrogate, '89abAB', third);
  addLetters(nfa, third, '0123456789abcdefABCDEF', last);
  addLetters(nfa, last, '0123456789abcdefABCDEF', half);
  const other = nfa.state();
  addLetters(nfa, nfa.text(half, '\\u'), 'dD', other);
  addLetters(nfa, other, 'cdefCDEF', second);
}

function addLetters(nfa: Nfa, from: number, letters: string, to: number): void {
  for (const letter of letters) nfa.range(from, letter.charCodeAt(0), letter.charCodeAt(0), to);
}
