/**
 * Which tokens may come next: a walk over the vocabulary's tree beside the grammar. Inside a string nearly every token
 * may come, and the walk sees nearly all of the tree; what it finds there depends on that string alone as long as the
 * string goes on, so it is kept, with the places of the tree at which the string was over.
 */
import type { Dfa } from './dfa.ts';
import { type Inside, LeafWalk } from './leaf-walk.ts';
import { MAX_NODES } from './limits.ts';
import { costOf, type Frame, type Stacks } from './stacks.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Walks that came to fewer nodes are not worth keeping. */
const WORTH_NODES = 500;
const MAX_KEPT = 48;

export class Masks {
  readonly #vocabulary: Vocabulary;
  readonly #dfa: Dfa;
  readonly #stacks: Stacks;
  /** Least lately used first. */
  readonly #kept = new Map<string, Inside>();
  /** Nodes looked at for the mask that is being made. */
  #seen = 0;

  constructor(vocabulary: Vocabulary, dfa: Dfa, stacks: Stacks) {
    this.#vocabulary = vocabulary;
    this.#dfa = dfa;
    this.#stacks = stacks;
  }

  /**
   * Sets in `mask` the bits of the tokens after which the plan to the end has at most `budget` tokens. Where there is
   * too much to look at (hostile schemas see to that), ways that end late are left out, the same ones every time.
   */
  add(mask: Int32Array, frames: readonly Frame[], budget: number): void {
    this.#seen = 0;
    const leaves = frames.filter(({ rule }) => rule.leaf);
    if (leaves.length > 1) leaves.sort((a, b) => a.cost - b.cost);
    for (const frame of leaves) if (this.#seen < MAX_NODES) this.#addLeaf(mask, frame, budget);
    const others = frames.filter(({ rule }) => !rule.leaf);
    if (others.length > 0) this.#walk(mask, 0, others, budget);
  }

  #addLeaf(mask: Int32Array, frame: Frame, budget: number): void {
    const inside = this.#inside(frame);
    this.#seen += inside.seen;
    const wanted = Math.max(0, frame.rule.least - frame.count);
    const afterwards = frame.parent?.cost ?? 0;
    // Near the end of its room each token is looked at for itself.
    if (inside.mostBytes + wanted + afterwards > budget) {
      this.#finish(mask, 0, frame, budget);
      return;
    }
    for (let word = 0; word < mask.length; word += 1) {
      mask[word] = (mask[word] ?? 0) | (inside.allowed[word] ?? 0);
    }
    this.#leave(mask, frame, inside.exits, budget);
  }

  #inside(frame: Frame): Inside {
    const { rule, state, count } = frame;
    const { longest } = this.#vocabulary;
    // A token has no more characters than bytes: further away from its bounds, the counter makes no difference.
    const wanted = Math.min(longest, Math.max(0, rule.least - count));
    const key = `${rule.id} ${state.id} ${wanted} ${Math.min(longest, rule.most - count)}`;
    const known = this.#kept.get(key);
    if (known !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const inside = LeafWalk.inside(this.#vocabulary, this.#dfa, frame);
    if (inside.seen >= WORTH_NODES) this.#keep(key, inside);
    return inside;
  }

  #keep(key: string, inside: Inside): void {
    this.#kept.set(key, inside);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** What is below `node`, which a rule without calls has come to. */
  #finish(mask: Int32Array, node: number, frame: Frame, budget: number): void {
    const walk = new LeafWalk(this.#vocabulary, this.#dfa, frame, mask, (state, count) => {
      return frame.at(state, count).cost <= budget;
    });
    const exits = walk.below(node);
    this.#seen += walk.seen;
    this.#leave(mask, frame, exits, budget);
  }

  #leave(mask: Int32Array, { parent }: Frame, exits: readonly number[], budget: number): void {
    if (parent === null || exits.length === 0) return;
    const { frames } = this.#stacks.settle([parent]);
    for (const node of exits) this.#descend(mask, node, frames, budget);
  }

  #descend(mask: Int32Array, node: number, frames: readonly Frame[], budget: number): void {
    for (const frame of frames) if (frame.rule.leaf) this.#finish(mask, node, frame, budget);
    const others = frames.filter(({ rule }) => !rule.leaf);
    if (others.length > 0) this.#walk(mask, node, others, budget);
  }

  #walk(mask: Int32Array, node: number, frames: readonly Frame[], budget: number): void {
    const { bytes, ids, ends } = this.#vocabulary;
    const end = ends[node] ?? 0;
    for (let child = node + 1; child < end; child = ends[child] ?? end) {
      this.#seen += frames.length;
      const reading = this.#stacks.step(frames, bytes[child] ?? 0);
      if (reading.frames.length === 0 && !reading.done) continue;
      const id = ids[child] ?? -1;
      if (id >= 0 && costOf(reading) <= budget) this.#vocabulary.allow(mask, id);
      if (ends[child] !== child + 1) this.#descend(mask, child, reading.frames, budget);
    }
  }
}
