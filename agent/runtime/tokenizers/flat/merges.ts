/** The merges of a byte-pair encoding: a pair of ids -> its rank and the id that it becomes, over flat tables. */
import type { Tables } from './format.ts';
import { slotCount } from './vocabulary.ts';

/** Rank of a pair that does not merge. */
export const NEVER = 0xffff_ffff;

export type MergeTables = Pick<Tables, 'merges' | 'mergeSlots'>;

export class Merges {
  readonly #merges: Uint32Array;
  readonly #slots: Uint32Array;

  constructor({ merges, mergeSlots }: MergeTables) {
    this.#merges = merges;
    this.#slots = mergeSlots;
  }

  /** The lower, the sooner it merges; `NEVER` for a pair that does not. */
  rank(left: number, right: number): number {
    const merges = this.#merges;
    const mask = this.#slots.length - 1;
    for (let slot = hashPair(left, right) & mask; ; slot = (slot + 1) & mask) {
      const rank = (this.#slots[slot] ?? 0) - 1;
      if (rank < 0) return NEVER;
      if (merges[3 * rank] === left && merges[3 * rank + 1] === right) return rank;
    }
  }

  /** What the pair of this rank becomes. */
  result(rank: number): number {
    return this.#merges[3 * rank + 2] ?? 0;
  }
}

/** `merges` are triples in the order of their ranks, each pair once. */
export function mergeTables(merges: Uint32Array): MergeTables {
  const mergeSlots = new Uint32Array(slotCount(merges.length / 3));
  const mask = mergeSlots.length - 1;
  for (let rank = 0; rank < merges.length / 3; rank += 1) {
    let slot = hashPair(merges[3 * rank] ?? 0, merges[3 * rank + 1] ?? 0) & mask;
    while (mergeSlots[slot] !== 0) slot = (slot + 1) & mask;
    mergeSlots[slot] = rank + 1;
  }
  return { merges, mergeSlots };
}

function hashPair(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e37_79b1) ^ Math.imul(right + 1, 0x85eb_ca6b);
  return mixed ^ (mixed >>> 15);
}
