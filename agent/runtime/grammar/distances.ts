/** The fewest bytes that complete a rule, from each of its states: Dijkstra's algorithm, as Knuth widened it to grammars. */
import { MAX_LEAST_BYTES } from './limits.ts';
import type { Call, Nfa, Rule } from './nfa.ts';

/** No text of a bearable length leads to the end. */
export const UNREACHABLE = 2 ** 30;

export interface Distances {
  /** By state, as if its counter had enough already. */
  readonly states: Int32Array;
  /** By rule, from its start and with its counter. */
  readonly rules: Int32Array;
}

/** Only bytes that are `usable` (1 of 256) can be said. */
export function measure(nfa: Nfa, usable: Uint8Array): Distances {
  return new Measuring(nfa, usable).run();
}

class Measuring {
  readonly #states: Int32Array;
  readonly #rules: Int32Array;
  /** What to look at by its distance: a state, or a rule as its complement. */
  readonly #buckets: (number[] | undefined)[] = [];
  /** By state: from where, and in how many bytes, in turn. */
  readonly #before: number[][];
  /** By state that they return to, and by the rule that they call. */
  readonly #returns = new Map<number, Call[]>();
  readonly #callers = new Map<number, Call[]>();
  /** Rules by their first state, and by the rule of their loop. */
  readonly #starts = new Map<number, Rule[]>();
  readonly #loops = new Map<number, Rule[]>();

  constructor(nfa: Nfa, usable: Uint8Array) {
    this.#states = new Int32Array(nfa.states).fill(UNREACHABLE);
    this.#rules = new Int32Array(nfa.rules.length).fill(UNREACHABLE);
    this.#before = Array.from({ length: nfa.states }, () => []);
    for (let state = 0; state < nfa.states; state += 1) this.#index(nfa, state, usable);
    for (const rule of nfa.rules) {
      add(this.#starts, rule.start, rule);
      if (rule.loop !== null) add(this.#loops, rule.loop.id, rule);
    }
  }

  run(): Distances {
    for (let distance = 0; distance < this.#buckets.length; distance += 1) {
      const bucket = this.#buckets[distance] ?? [];
      // What is no bytes away comes into the bucket that is being emptied.
      for (const node of bucket) {
        if (node >= 0) this.#settleState(node, distance);
        else this.#settleRule(~node, distance);
      }
      this.#buckets[distance] = undefined;
    }
    return { states: this.#states, rules: this.#rules };
  }

  #index(nfa: Nfa, state: number, usable: Uint8Array): void {
    nfa.eachRange(state, (low, high, to) => {
      const first = usable.indexOf(1, low);
      if (first >= 0 && first <= high) this.#before[to]?.push(state, 1);
    });
    for (const to of nfa.skipsOf(state)) this.#before[to]?.push(state, 0);
    for (const call of nfa.callsOf(state)) {
      add(this.#returns, call.to, call);
      add(this.#callers, call.rule.id, call);
    }
    if (nfa.isEnd(state)) this.#reach(state, 0);
  }

  #settleState(state: number, distance: number): void {
    if (this.#states[state] !== distance) return;
    const before = this.#before[state] ?? [];
    for (let at = 0; at < before.length; at += 2) {
      this.#reach(before[at] ?? 0, distance + (before[at + 1] ?? 0));
    }
    for (const call of this.#returns.get(state) ?? []) this.#relaxCall(call);
    for (const rule of this.#starts.get(state) ?? []) this.#relaxRule(rule);
  }

  #settleRule(rule: number, distance: number): void {
    if (this.#rules[rule] !== distance) return;
    for (const call of this.#callers.get(rule) ?? []) this.#relaxCall(call);
    for (const one of this.#loops.get(rule) ?? []) this.#relaxRule(one);
  }

  #relaxCall({ from, rule, to }: Call): void {
    this.#reach(from, this.#ruleBytes(rule) + (this.#states[to] ?? UNREACHABLE));
  }

  #relaxRule(rule: Rule): void {
    const turn = 1 + (rule.loop === null ? 0 : this.#ruleBytes(rule.loop));
    const distance = (this.#states[rule.start] ?? UNREACHABLE) + (rule.least === 0 ? 0 : rule.least * turn);
    if (distance > MAX_LEAST_BYTES || distance >= this.#ruleBytes(rule)) return;
    this.#rules[rule.id] = distance;
    this.#push(distance, ~rule.id);
  }

  #reach(state: number, distance: number): void {
    if (distance > MAX_LEAST_BYTES || distance >= (this.#states[state] ?? 0)) return;
    this.#states[state] = distance;
    this.#push(distance, state);
  }

  #ruleBytes(rule: Rule): number {
    return this.#rules[rule.id] ?? UNREACHABLE;
  }

  #push(distance: number, node: number): void {
    const bucket = this.#buckets[distance];
    if (bucket === undefined) this.#buckets[distance] = [node];
    else bucket.push(node);
  }
}

function add<T>(lists: Map<number, T[]>, key: number, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
