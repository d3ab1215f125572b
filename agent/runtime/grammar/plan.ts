/**
 * A way to the end from everywhere, and how many tokens it takes. The plan says the fewest bytes, in the longest tokens
 * that do not reach into or out of a called rule. So its length adds up over the rules that are under way, and saying
 * its next token leaves a plan that is one token shorter: a text that has room for its plan never loses it.
 */
import type { Dfa, State } from './dfa.ts';
import { type Distances, UNREACHABLE } from './distances.ts';
import { COUNTS, ENOUGH, type Guard, type Rule } from './nfa.ts';
import type { Vocabulary } from './vocabulary.ts';

export class Plan {
  readonly #dfa: Dfa;
  readonly #distances: Distances;
  readonly #vocabulary: Vocabulary;
  readonly #rules = new Map<number, number>();

  constructor(dfa: Dfa, distances: Distances, vocabulary: Vocabulary) {
    this.#dfa = dfa;
    this.#distances = distances;
    this.#vocabulary = vocabulary;
  }

  /** Tokens of the plan to the end of a rule that is at `state`. */
  tokens(rule: Rule, state: State, count: number): number {
    const wanted = Math.max(0, rule.least - count);
    const known = state.tokens.get(wanted);
    if (known !== undefined) return known;
    const tokens = this.#count(rule, state, count);
    state.tokens.set(wanted, tokens);
    return tokens;
  }

  #count(rule: Rule, from: State, fromCount: number): number {
    let tokens = 0;
    let state = from;
    let count = fromCount;
    let run: number[] = [];
    for (let left = this.#bytes(rule, state, count); ; left = this.#bytes(rule, state, count)) {
      const step = this.#step(rule, state, count, left);
      if (step === null) return tokens + this.#vocabulary.tokensOf(run);
      if (step.rule === null) run.push(step.byte);
      else {
        tokens += this.#vocabulary.tokensOf(run) + this.#ruleTokens(step.rule);
        run = [];
      }
      state = step.state;
      count = step.count;
    }
  }

  /** The first byte or call that brings the end nearer by what it says; null: this is the end. */
  #step(rule: Rule, state: State, count: number, left: number): Step | null {
    if (left === 0 && state.accepts) return null;
    this.#dfa.spend(this.#dfa.classes.length);
    for (const byte of this.#dfa.classes) {
      if (this.#vocabulary.usable[byte] !== 1) continue;
      const move = this.#dfa.move(state, byte);
      if (move === null || !passes(rule, count, move.guard)) continue;
      const next = counted(rule, count, move.guard);
      if (this.#bytes(rule, move.state, next) === left - 1) {
        return { rule: null, byte, state: move.state, count: next };
      }
    }
    for (const call of state.calls) {
      const after = this.#dfa.from(call.to);
      if (after === null || !passes(rule, count, call.guard)) continue;
      const bytes = (this.#distances.rules[call.rule.id] ?? UNREACHABLE) + this.#bytes(rule, after, count);
      if (bytes === left) return { rule: call.rule, byte: 0, state: after, count };
    }
    return null;
  }

  #bytes(rule: Rule, state: State, count: number): number {
    const wanted = rule.least - count;
    if (wanted <= 0) return state.bytes;
    const turn = 1 + (rule.loop === null ? 0 : (this.#distances.rules[rule.loop.id] ?? UNREACHABLE));
    return state.bytes + wanted * turn;
  }

  #ruleTokens(rule: Rule): number {
    const known = this.#rules.get(rule.id);
    if (known !== undefined) return known;
    const start = this.#dfa.from(rule.start);
    const tokens = start === null ? 0 : this.tokens(rule, start, 0);
    this.#rules.set(rule.id, tokens);
    return tokens;
  }
}

interface Step {
  /** The rule that is called; null: `byte` is said. */
  readonly rule: Rule | null;
  readonly byte: number;
  readonly state: State;
  readonly count: number;
}

/** May an edge with this guard be taken? */
export function passes(rule: Rule, count: number, guard: Guard): boolean {
  if (guard === COUNTS) return count < rule.most;
  return guard !== ENOUGH || count >= rule.least;
}

/** The counter after an edge. Where no number of turns is too many, those beyond the least are all the same. */
export function counted(rule: Rule, count: number, guard: Guard): number {
  if (guard !== COUNTS) return count;
  return rule.most === Infinity ? Math.min(count + 1, rule.least) : count + 1;
}
