/** Strings that match a pattern. */
import type { Nfa, Rule } from '../nfa.ts';
import type { CharacterAutomaton } from './pattern.ts';
import { addCharacters } from './utf8.ts';

/** Characters that a string has no room for as they are, but for short escapes. */
const ESCAPED = /["\\\p{Cc}]/u;
const SHORT = new Set([...'\b\t\n\f\r"\\'].map((letter) => letter.charCodeAt(0)));
const LAST_ESCAPED = 0x5c;

/**
 * Strings of `least` to `most` characters that the automaton knows. Each character is written in one way, and a control
 * character that needs `\u` only where the pattern asks for no other.
 */
export function matchingRule(nfa: Nfa, automaton: CharacterAutomaton, least: number, most: number): Rule {
  return nfa.leaf((start, end) => {
    const quoted = nfa.state();
    nfa.range(start, 0x22, 0x22, quoted);
    new Matching(nfa, automaton, least, most, end).add(quoted);
  });
}

/** The automaton once for each number of characters that makes a difference. */
class Matching {
  readonly #nfa: Nfa;
  readonly #automaton: CharacterAutomaton;
  readonly #least: number;
  readonly #most: number;
  readonly #end: number;
  readonly #states = new Map<string, number>();
  readonly #open: { readonly inner: number; readonly count: number; readonly state: number }[] = [];

  constructor(nfa: Nfa, automaton: CharacterAutomaton, least: number, most: number, end: number) {
    this.#nfa = nfa;
    this.#automaton = automaton;
    this.#least = least;
    this.#most = most;
    this.#end = end;
  }

  add(quoted: number): void {
    this.#nfa.skip(quoted, this.#stateOf(0, 0));
    for (let place = this.#open.pop(); place !== undefined; place = this.#open.pop()) {
      const { inner, count, state } = place;
      for (const to of this.#automaton.skips[inner] ?? []) this.#nfa.skip(state, this.#stateOf(to, count));
      if (inner === this.#automaton.end && count >= this.#least)
        this.#nfa.range(state, 0x22, 0x22, this.#end);
      if (count >= this.#most) continue;
      const next = this.#most === Infinity ? Math.min(count + 1, this.#least) : count + 1;
      for (const [low, high, to] of this.#automaton.edges[inner] ?? []) {
        addJsonCharacters(this.#nfa, state, low, high, this.#stateOf(to, next));
      }
    }
  }

  #stateOf(inner: number, count: number): number {
    const key = `${inner} ${count}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const state = this.#nfa.state();
    this.#states.set(key, state);
    this.#open.push({ inner, count, state });
    return state;
  }
}

function addJsonCharacters(nfa: Nfa, from: number, low: number, high: number, to: number): void {
  let first = low;
  for (let code = low; code <= Math.min(high, LAST_ESCAPED); code += 1) {
    const letter = String.fromCodePoint(code);
    if (!ESCAPED.test(letter)) continue;
    addCharacters(nfa, from, first, code - 1, to);
    first = code + 1;
    if (SHORT.has(code) || low === high) {
      nfa.skip(nfa.text(from, JSON.stringify(letter).slice(1, -1)), to);
    }
  }
  addCharacters(nfa, from, first, high, to);
}
