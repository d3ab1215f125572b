/**
 * The grammar of a text: rules over bytes that call each other. A rule is a nondeterministic automaton whose edges are
 * ranges of bytes or whole other rules; all rules share one numbering of states. No text is followed here.
 */
import { MAX_RULES, MAX_STATES, tooLarge } from './limits.ts';

/** Any number of times. */
export const FREE = 0;
/** Adds one to the rule's counter; not where that is at its most. */
export const COUNTS = 1;
/** Not where the counter is below its least. */
export const ENOUGH = 2;
export type Guard = typeof FREE | typeof COUNTS | typeof ENOUGH;

/**
 * One thing that can be said. A rule with a counter goes around one loop at least `least` and at most `most` times: the
 * loop begins at an edge that COUNTS and is left by one that needs ENOUGH. All edges of a state for one byte have the
 * same guard.
 */
export interface Rule {
  readonly id: number;
  start: number;
  /** It calls no other rule. */
  leaf: boolean;
  least: number;
  /** Infinity: no end. */
  most: number;
  /** What one more turn of the loop says beside one byte; null: nothing. */
  loop: Rule | null;
}

export interface Call {
  readonly from: number;
  readonly rule: Rule;
  readonly to: number;
  readonly guard: Guard;
}

/** Numbers of an edge: the next edge of the state, first and last byte, target, guard. */
const EDGE = 5;
const NONE = -1;
const UTF8 = new TextEncoder();

export class Nfa {
  readonly rules: Rule[] = [];
  readonly calls = new Map<number, Call[]>();
  readonly #first: number[] = [];
  readonly #edges: number[] = [];
  readonly #skips = new Map<number, number[]>();
  readonly #ends = new Set<number>();

  /** Number of states. */
  get states(): number {
    return this.#first.length;
  }

  /** A rule to be defined by setting its `start`. Throws `bad_input` for one too many, as `state` does. */
  rule(): Rule {
    if (this.rules.length >= MAX_RULES) throw tooLarge(`it has more than ${MAX_RULES} rules`);
    const rule = { id: this.rules.length, start: NONE, leaf: false, least: 0, most: Infinity, loop: null };
    this.rules.push(rule);
    return rule;
  }

  /** A rule without calls and counter; `build` gets its first and its last state. */
  leaf(build: (start: number, end: number) => void): Rule {
    const rule = this.rule();
    rule.leaf = true;
    rule.start = this.state();
    build(rule.start, this.end(this.state()));
    return rule;
  }

  state(): number {
    if (this.#first.length >= MAX_STATES) throw tooLarge(`its automaton has more than ${MAX_STATES} states`);
    return this.#first.push(NONE) - 1;
  }

  /** Lets the rule end at `state`, which it returns. */
  end(state: number): number {
    this.#ends.add(state);
    return state;
  }

  isEnd(state: number): boolean {
    return this.#ends.has(state);
  }

  range(from: number, low: number, high: number, to: number, guard: Guard = FREE): void {
    const edge = this.#edges.push(this.#first[from] ?? NONE, low, high, to, guard) - EDGE;
    this.#first[from] = edge;
  }

  /** From `from` to `to` without a byte. */
  skip(from: number, to: number): void {
    const skips = this.#skips.get(from);
    if (skips === undefined) this.#skips.set(from, [to]);
    else skips.push(to);
  }

  call(from: number, rule: Rule, to: number, guard: Guard = FREE): void {
    const calls = this.calls.get(from);
    const call = { from, rule, to, guard };
    if (calls === undefined) this.calls.set(from, [call]);
    else calls.push(call);
  }

  /** The UTF-8 bytes of `text` from `from` on; returns the state after them. */
  text(from: number, text: string, guard: Guard = FREE): number {
    let at = from;
    for (const byte of UTF8.encode(text)) {
      const next = this.state();
      this.range(at, byte, byte, next, at === from ? guard : FREE);
      at = next;
    }
    return at;
  }

  skipsOf(state: number): readonly number[] {
    return this.#skips.get(state) ?? [];
  }

  callsOf(state: number): readonly Call[] {
    return this.calls.get(state) ?? [];
  }

  eachRange(state: number, visit: (low: number, high: number, to: number, guard: Guard) => void): void {
    const edges = this.#edges;
    for (let edge = this.#first[state] ?? NONE; edge !== NONE; edge = edges[edge] ?? NONE) {
      visit(
        edges[edge + 1] ?? 0,
        edges[edge + 2] ?? 0,
        edges[edge + 3] ?? 0,
        (edges[edge + 4] ?? 0) as Guard,
      );
    }
  }

  hasRanges(state: number): boolean {
    return this.#first[state] !== NONE;
  }
}
