/** The rules made deterministic over bytes, state by state as a text needs them. */
import { type Distances, UNREACHABLE } from './distances.ts';
import { MAX_WORK, tooLarge } from './limits.ts';
import { type Call, FREE, type Guard, type Nfa } from './nfa.ts';

/** States of the grammar that are possible at once in one rule. Those that lead nowhere are left out. */
export interface State {
  /** Never given to another state of the same grammar. */
  readonly id: number;
  /** Fewest bytes to the end of the rule, as if its counter had enough. */
  readonly bytes: number;
  /** The rule may end here. */
  readonly accepts: boolean;
  /** Some byte may come next. */
  readonly moves: boolean;
  readonly calls: readonly Call[];
  readonly members: readonly number[];
  /** By class of bytes; undefined: not known yet. */
  next: (Move | null | undefined)[];
  /** Tokens of the plan to the end of the rule, by how many turns the counter wants (`plan.ts`). */
  readonly tokens: Map<number, number>;
}

export interface Move {
  readonly state: State;
  readonly guard: Guard;
}

/** More are forgotten, and made again when they are needed. */
const MAX_KEPT = 4096;
/** The same for what they consist of, which is thousands of states of the grammar where a pattern means harm. */
const MAX_MEMBERS_KEPT = 200_000;

export class Dfa {
  /** The class of each byte: bytes of a class are the same to every state. */
  readonly classOf: Uint8Array;
  /** The first byte of each class. */
  readonly classes: readonly number[];
  readonly #nfa: Nfa;
  readonly #distances: Distances;
  #bySet = new Map<string, State>();
  #bySingle = new Map<number, State | null>();
  #made = 0;
  #membersKept = 0;
  #work = 0;

  /** Bytes that are not `usable` (1 of 256) have classes of their own. */
  constructor(nfa: Nfa, distances: Distances, usable: Uint8Array) {
    this.#nfa = nfa;
    this.#distances = distances;
    this.classOf = classify(nfa, usable);
    const classes: number[] = [];
    for (const [byte, one] of this.classOf.entries()) classes[one] ??= byte;
    this.classes = classes;
  }

  /** Lets as much work be done as for one more mask or token. */
  renew(): void {
    this.#work = 0;
  }

  /** Throws `bad_input` once more was looked at than a grammar may take. What was found until then stays found. */
  spend(work: number): void {
    this.#work += work;
    if (this.#work > MAX_WORK) throw tooLarge('what may come next takes too long to find out');
  }

  /** Where a rule is that has come to one state of the grammar; null: it would come to no end. */
  from(single: number): State | null {
    const known = this.#bySingle.get(single);
    if (known !== undefined) return known;
    const made = this.#stateOf([single]);
    this.#bySingle.set(single, made);
    return made;
  }

  /** Where a byte leads; null: it may not come. The caller looks at the guard. */
  move(state: State, byte: number): Move | null {
    const one = this.classOf[byte] ?? 0;
    const known = state.next[one];
    if (known !== undefined) return known;
    const made = this.#moveOf(state, this.classes[one] ?? 0);
    state.next[one] = made;
    return made;
  }

  #moveOf(state: State, byte: number): Move | null {
    const targets: number[] = [];
    let guard: Guard = FREE;
    let edges = 0;
    for (const member of state.members) {
      this.#nfa.eachRange(member, (low, high, to, its) => {
        edges += 1;
        if (byte < low || byte > high) return;
        targets.push(to);
        guard = its;
      });
    }
    this.spend(edges);
    const next = targets.length === 0 ? null : this.#stateOf(targets);
    return next === null ? null : { state: next, guard };
  }

  #stateOf(singles: readonly number[]): State | null {
    const members = this.#closure(singles);
    if (members.length === 0) return null;
    const key = members.join();
    const known = this.#bySet.get(key);
    if (known !== undefined) return known;
    if (this.#bySet.size >= MAX_KEPT || this.#membersKept >= MAX_MEMBERS_KEPT) this.#forget();
    this.#membersKept += members.length;
    const made = this.#make(members);
    this.#bySet.set(key, made);
    return made;
  }

  /** All that is reached without a byte, of that what can go on or end, in order. */
  #closure(singles: readonly number[]): readonly number[] {
    const seen = new Set<number>(singles);
    const members: number[] = [];
    for (const state of seen) {
      for (const to of this.#nfa.skipsOf(state)) seen.add(to);
      if (this.#bytesOf(state) < UNREACHABLE && this.#matters(state)) members.push(state);
    }
    this.spend(seen.size);
    return members.sort((a, b) => a - b);
  }

  #matters(state: number): boolean {
    return this.#nfa.hasRanges(state) || this.#nfa.isEnd(state) || this.#nfa.callsOf(state).length > 0;
  }

  #make(members: readonly number[]): State {
    return {
      id: this.#made++,
      bytes: Math.min(...members.map((state) => this.#bytesOf(state))),
      accepts: members.some((state) => this.#nfa.isEnd(state)),
      moves: members.some((state) => this.#nfa.hasRanges(state)),
      calls: members.flatMap((state) => this.#nfa.callsOf(state).filter((call) => this.#leads(call))),
      members,
      next: [],
      tokens: new Map(),
    };
  }

  #leads({ rule, to }: Call): boolean {
    return (this.#distances.rules[rule.id] ?? UNREACHABLE) < UNREACHABLE && this.#bytesOf(to) < UNREACHABLE;
  }

  #bytesOf(state: number): number {
    return this.#distances.states[state] ?? UNREACHABLE;
  }

  /** A pattern can have more states than there is room for: texts keep the ones that they are in. */
  #forget(): void {
    for (const state of this.#bySet.values()) state.next = [];
    this.#bySet = new Map();
    this.#bySingle = new Map();
    this.#membersKept = 0;
  }
}

/** Splits the bytes wherever some edge begins or ends, and where they become usable or not. */
function classify(nfa: Nfa, usable: Uint8Array): Uint8Array {
  const begins = new Uint8Array(257);
  for (let state = 0; state < nfa.states; state += 1) {
    nfa.eachRange(state, (low, high) => {
      begins[low] = 1;
      begins[high + 1] = 1;
    });
  }
  const classes = new Uint8Array(256);
  for (let byte = 1; byte < 256; byte += 1) {
    const differs = begins[byte] === 1 || usable[byte] !== usable[byte - 1];
    classes[byte] = (classes[byte - 1] ?? 0) + (differs ? 1 : 0);
  }
  return classes;
}
