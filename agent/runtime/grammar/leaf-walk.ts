/** A walk over the vocabulary's tree inside one rule that calls no other: without stacks, so it is fast. */
import type { Dfa, State } from './dfa.ts';
import { counted, passes } from './plan.ts';
import type { Frame } from './stacks.ts';
import type { Vocabulary } from './vocabulary.ts';

/** What may come in one rule, whatever called it. */
export interface Inside {
  readonly allowed: Int32Array;
  /** Nodes of the tree at which the rule may be over. */
  readonly exits: readonly number[];
  /** Most bytes that one of the tokens leaves to be said to the end of the rule, its counter aside. */
  readonly mostBytes: number;
  /** Nodes of the tree that were looked at. */
  readonly seen: number;
}

type Fits = (state: State, count: number) => boolean;

export class LeafWalk {
  /** Nodes that it came to. */
  seen = 0;
  readonly exits: number[] = [];
  readonly #vocabulary: Vocabulary;
  readonly #dfa: Dfa;
  readonly #frame: Frame;
  readonly #mask: Int32Array;
  readonly #fits: Fits;
  #mostBytes = 0;

  /** Sets the bits of `mask` for tokens that leave the rule in a state that `fits`. */
  constructor(vocabulary: Vocabulary, dfa: Dfa, frame: Frame, mask: Int32Array, fits: Fits) {
    this.#vocabulary = vocabulary;
    this.#dfa = dfa;
    this.#frame = frame;
    this.#mask = mask;
    this.#fits = fits;
  }

  /** Looks at all that is below a node, which the frame of the rule has come to; returns where the rule may be over. */
  below(node: number): readonly number[] {
    this.#walk(node, this.#frame.state, this.#frame.count);
    return this.exits;
  }

  /** All tokens from the frame on. */
  static inside(vocabulary: Vocabulary, dfa: Dfa, frame: Frame): Inside {
    const allowed = new Int32Array(vocabulary.words);
    const walk = new LeafWalk(vocabulary, dfa, frame, allowed, () => true);
    const exits = walk.below(0);
    return { allowed, exits, mostBytes: walk.#mostBytes, seen: walk.seen };
  }

  #walk(node: number, state: State, count: number): void {
    const { bytes, ids, ends } = this.#vocabulary;
    const { rule } = this.#frame;
    const end = ends[node] ?? 0;
    for (let child = node + 1; child < end; child = ends[child] ?? end) {
      this.seen += 1;
      const move = this.#dfa.move(state, bytes[child] ?? 0);
      if (move === null || !passes(rule, count, move.guard)) continue;
      const next = counted(rule, count, move.guard);
      const id = ids[child] ?? -1;
      if (id >= 0 && this.#fits(move.state, next)) {
        this.#vocabulary.allow(this.#mask, id);
        if (move.state.bytes > this.#mostBytes) this.#mostBytes = move.state.bytes;
      }
      if (ends[child] === child + 1) continue;
      if (move.state.accepts) this.exits.push(child);
      this.#walk(child, move.state, next);
    }
  }
}
