/** One buffer that the graph reads, and writes in place. */
import type { PageSource, Pages } from '../../linux/pages.ts';
import type { CacheSlot } from '../generation/layout.ts';
import type { NativeBinding } from './binding.ts';
import type { NativeCache } from './cache.ts';
import { copyHeads, type Heads, layOut, slotBytes, tensorOf, totalBytes } from './heads.ts';

/** Room for as many tokens at first, and for twice as many whenever it is full. Untouched room takes no memory. */
const LEAST_TOKENS = 512;

export class SharedCache implements NativeCache {
  readonly kind = 'shared';
  readonly #slots: readonly CacheSlot[];
  readonly #binding: NativeBinding;
  readonly #source: PageSource;
  #pages: Pages | null = null;
  /** What was moved to `#pages`, if that failed half-way: some of it may still be bound. */
  #old: Pages | null = null;
  #heads: readonly Heads[] = [];
  #capacity = 0;

  constructor(slots: readonly CacheSlot[], binding: NativeBinding, source: PageSource) {
    this.#slots = slots;
    this.#binding = binding;
    this.#source = source;
  }

  get heads(): readonly Heads[] {
    return this.#heads;
  }

  prepare(tokens: number): void {
    if (tokens > this.#capacity) this.#grow(Math.max(LEAST_TOKENS, 2 ** Math.ceil(Math.log2(tokens))));
  }

  /** They are in place already. */
  keep(): void {}

  truncate(tokens: number, before: number): void {
    const pages = this.#pages;
    if (pages === null) return;
    for (const { slot, at, capacity } of this.#heads) {
      const start = Number(at - pages.address);
      for (let head = 0; head < slot.heads; head += 1) {
        const [first, end] = [head, head + 1].map((number) => start + number * capacity * slot.rowBytes);
        if (first === undefined || end === undefined) continue;
        // The last page of the tokens goes whole; it ends before the next head begins.
        const used = first + before * slot.rowBytes + this.#source.pageBytes;
        pages.discard(first + tokens * slot.rowBytes, Math.min(used, end));
      }
    }
  }

  copyFrom(heads: readonly Heads[], tokens: number): void {
    this.prepare(tokens);
    for (const [at, to] of this.#heads.entries()) {
      const from = heads[at];
      if (from !== undefined) copyHeads(this.#source, from, to, tokens);
    }
  }

  release(): void {
    for (const pages of [this.#pages, this.#old]) pages?.release();
    this.#pages = null;
    this.#old = null;
    this.#heads = [];
    this.#capacity = 0;
  }

  /** Moves slot by slot, so that there is never more than one of them twice. */
  #grow(capacity: number): void {
    const [pages, heads, filled] = [this.#pages, this.#heads, this.#capacity];
    this.#pages = this.#source.map(totalBytes(this.#slots, capacity));
    this.#old = pages;
    this.#heads = layOut(this.#slots, this.#pages.address, capacity);
    this.#capacity = capacity;
    for (const [at, to] of this.#heads.entries()) {
      const from = heads[at];
      if (from !== undefined && pages !== null) {
        copyHeads(this.#source, from, to, filled);
        const start = Number(from.at - pages.address);
        pages.discard(start, start + slotBytes(from.slot, filled));
      }
      this.#binding.inPlace(to.slot.past, to.slot.present, tensorOf(to));
    }
    pages?.release();
    this.#old = null;
  }
}

/** The pages that so many tokens of every head touch. */
export function sharedBytes(slots: readonly CacheSlot[], tokens: number, pageBytes: number): number {
  return slots.reduce(
    (bytes, { heads, rowBytes }) => bytes + heads * Math.ceil((tokens * rowBytes) / pageBytes) * pageBytes,
    0,
  );
}
