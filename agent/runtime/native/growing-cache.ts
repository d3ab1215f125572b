/** For graphs that cannot share their cache: what one step made is what the next one reads. */
import type { PageSource, Pages } from '../../linux/pages.ts';
import { type CacheSlot, isCacheOf, notOneRow } from '../generation/layout.ts';
import type { MadeTensor, NativeBinding } from './binding.ts';
import type { NativeCache } from './cache.ts';
import { copyHeads, type Heads, layOut, tensorOf, totalBytes } from './heads.ts';

export class GrowingCache implements NativeCache {
  readonly kind = 'growing';
  readonly #slots: readonly CacheSlot[];
  readonly #binding: NativeBinding;
  readonly #source: PageSource;
  /** What the last step made; empty while `#pages` holds a copy in its place. */
  #made: readonly MadeTensor[] = [];
  /** Those that are bound; more of them only after a failure. */
  #pages: readonly Pages[] = [];
  #heads: readonly Heads[] = [];

  constructor(slots: readonly CacheSlot[], binding: NativeBinding, source: PageSource) {
    this.#slots = slots;
    this.#binding = binding;
    this.#source = source;
  }

  get heads(): readonly Heads[] {
    return this.#heads;
  }

  /** Anew for each step: the runtime would write into what it made before, which is too short. */
  prepare(): void {
    if (this.#heads.length === 0) this.copyFrom([], 0);
    this.#bindOutputs();
  }

  #bindOutputs(): void {
    for (const { present } of this.#slots) this.#binding.madeOutput(present);
  }

  /** Throws a TypeError where the graph does not keep one row a token: whoever copied so many would read beyond them. */
  keep(tokens: number): void {
    const all = this.#binding.outputs();
    const made = all.slice(0, this.#slots.length);
    for (const other of all.slice(made.length)) this.#binding.free(other);
    const heads = this.#slots.map((slot, at) => headsOf(slot, made[at], tokens));
    if (!heads.every((found) => found !== null)) {
      for (const tensor of made) this.#binding.free(tensor);
      throw notOneRow(tokens);
    }
    // The binding has a hold of its own on what the step before made, but not on pages.
    this.#freeMade();
    this.#made = made;
    this.#heads = heads;
    for (const [at, tensor] of made.entries()) this.#binding.madeInput(this.#slots[at]?.past ?? '', tensor);
    this.#freePages(null);
  }

  truncate(tokens: number): void {
    this.copyFrom(this.#heads, tokens);
  }

  copyFrom(heads: readonly Heads[], tokens: number): void {
    const pages = this.#source.map(Math.max(1, totalBytes(this.#slots, tokens)));
    this.#pages = [...this.#pages, pages];
    const copies = layOut(this.#slots, pages.address, tokens);
    for (const [at, to] of copies.entries()) {
      const from = heads[at];
      if (from !== undefined && tokens > 0) copyHeads(this.#source, from, to, tokens);
      this.#binding.input(to.slot.past, tensorOf(to));
    }
    // The binding would hold on to what the last step made.
    this.#bindOutputs();
    this.#freeMade();
    this.#freePages(pages);
    this.#heads = copies;
  }

  release(): void {
    this.#freeMade();
    this.#freePages(null);
    this.#heads = [];
  }

  #freeMade(): void {
    for (const tensor of this.#made) this.#binding.free(tensor);
    this.#made = [];
  }

  #freePages(kept: Pages | null): void {
    for (const pages of this.#pages) if (pages !== kept) pages.release();
    this.#pages = kept === null ? [] : [kept];
  }
}

function headsOf(slot: CacheSlot, tensor: MadeTensor | undefined, tokens: number): Heads | null {
  return tensor !== undefined && isCacheOf(slot, tokens, tensor.shape)
    ? { slot, at: tensor.at, capacity: tokens }
    : null;
}

/** Of the tokens twice: the end of a step has the old ones and the new ones. */
export function growingBytes(slots: readonly CacheSlot[], tokens: number): number {
  return 2 * totalBytes(slots, tokens);
}
