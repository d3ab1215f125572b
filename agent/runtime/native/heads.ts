/** Where the keys and values of a sequence are: for every slot, one head after the other, with room for so many tokens. */
import type { Address } from '../../linux/foreign.ts';
import type { PageSource } from '../../linux/pages.ts';
import type { CacheSlot } from '../generation/layout.ts';
import type { BoundTensor } from './binding.ts';

/** The heads of one slot. */
export interface Heads {
  readonly slot: CacheSlot;
  readonly at: Address;
  /** Tokens that each head has room for. */
  readonly capacity: number;
}

export function slotBytes({ heads, rowBytes }: CacheSlot, capacity: number): number {
  return heads * capacity * rowBytes;
}

export function totalBytes(slots: readonly CacheSlot[], capacity: number): number {
  return slots.reduce((bytes, slot) => bytes + slotBytes(slot, capacity), 0);
}

/** All slots one after the other, from an address on. */
export function layOut(slots: readonly CacheSlot[], start: Address, capacity: number): readonly Heads[] {
  let at = start;
  return slots.map((slot) => {
    const heads = { slot, at, capacity };
    at += BigInt(slotBytes(slot, capacity));
    return heads;
  });
}

/** Copies the first `tokens` tokens of every head of a slot. */
export function copyHeads(source: PageSource, from: Heads, to: Heads, tokens: number): void {
  const { heads, rowBytes } = to.slot;
  for (let head = 0; head < heads; head += 1) {
    source.copy(
      from.at + BigInt(head * from.capacity * rowBytes),
      to.at + BigInt(head * to.capacity * rowBytes),
      tokens * rowBytes,
    );
  }
}

export function tensorOf({ slot, at, capacity }: Heads): BoundTensor {
  const { type, heads, headSize } = slot;
  return { at, bytes: slotBytes(slot, capacity), type, shape: [1, heads, capacity, headSize] };
}
