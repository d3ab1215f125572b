/** Values that nothing is asked of. */
import type { Nfa, Rule } from '../nfa.ts';
import { arrayRule } from './arrays.ts';
import { otherName } from './names.ts';
import { objectRule } from './objects.ts';
import type { Punctuation } from './punctuation.ts';

export interface Scalars {
  readonly punctuation: Punctuation;
  readonly string: Rule;
  readonly number: () => Rule;
  /** `true`, `false` and `null`. */
  readonly words: () => Rule;
}

/** Rules for free values with so many levels of lists and objects below them, made when they are needed. */
export class FreeValues {
  readonly #nfa: Nfa;
  readonly #scalars: Scalars;
  #name: Rule | null = null;
  readonly #values: (Rule | undefined)[] = [];
  readonly #objects: (Rule | undefined)[] = [];
  readonly #arrays: (Rule | undefined)[] = [];

  constructor(nfa: Nfa, scalars: Scalars) {
    this.#nfa = nfa;
    this.#scalars = scalars;
  }

  value(levels: number): Rule {
    const known = this.#values[levels];
    if (known !== undefined) return known;
    const { string, number, words } = this.#scalars;
    const deeper = levels === 0 ? [] : [this.object(levels), this.array(levels)];
    const rule = this.#nfa.rule();
    rule.start = this.#nfa.state();
    const end = this.#nfa.end(this.#nfa.state());
    for (const one of [string, number(), words(), ...deeper]) this.#nfa.call(rule.start, one, end);
    this.#values[levels] = rule;
    return rule;
  }

  /** `levels` is at least 1: the object itself is one. */
  object(levels: number): Rule {
    this.#name ??= otherName(this.#nfa, []);
    const others = { name: this.#name, value: this.value(levels - 1) };
    const rule = this.#objects[levels] ?? objectRule(this.#nfa, this.#scalars.punctuation, [], others);
    this.#objects[levels] = rule;
    return rule;
  }

  array(levels: number): Rule {
    const items = { prefix: [], others: this.value(levels - 1), least: 0, most: Infinity };
    const rule = this.#arrays[levels] ?? arrayRule(this.#nfa, this.#scalars.punctuation, items);
    this.#arrays[levels] = rule;
    return rule;
  }
}
