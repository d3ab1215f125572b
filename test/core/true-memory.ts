/** The memory of a world's cells as it really is, and as `decide` has to find out. */
import type { ExpertId } from '../../agent/types.ts';
import { MB } from './made.ts';

export interface TrueSize {
  readonly residentBytes: number;
  readonly loadBytes: number;
}

export class TrueMemory {
  readonly #sizes: ReadonlyMap<ExpertId, TrueSize>;
  readonly cells = new Map<string, Set<ExpertId>>();
  /** Bytes beyond base and experts that a cell holds: what an unload left behind. The next load takes them first. */
  readonly #extra = new Map<string, number>();
  /** Of parked experts, the share that stays. */
  readonly #stays = new Map<ExpertId, number>();

  constructor(sizes: ReadonlyMap<ExpertId, TrueSize>) {
    this.#sizes = sizes;
  }

  /** Another version of an expert is as large as that one, unless said. */
  sizeOf(expert: ExpertId): TrueSize {
    const of = expert.replace(/@.*/, '');
    return this.#sizes.get(expert) ?? this.#sizes.get(of) ?? { residentBytes: 0, loadBytes: 0 };
  }

  has(cell: string, expert: ExpertId): boolean {
    return this.cells.get(cell)?.has(expert) ?? false;
  }

  isIn(expert: ExpertId): boolean {
    return [...this.cells.values()].some((experts) => experts.has(expert));
  }

  cellBytes(cell: string): number {
    let total = 38 * MB + this.extraBytes(cell);
    for (const id of this.cells.get(cell) ?? []) total += this.trueBytes(id);
    return total;
  }

  trueBytes(expert: ExpertId): number {
    return Math.round(this.sizeOf(expert).residentBytes * (this.#stays.get(expert) ?? 1));
  }

  extraBytes(cell: string): number {
    return this.#extra.get(cell) ?? 0;
  }

  holdExtra(cell: string, bytes: number): void {
    this.#extra.set(cell, bytes);
  }

  park(expert: ExpertId, stays: number): void {
    this.#stays.set(expert, stays);
  }

  /** It runs, or is loaded anew: all of it is in memory. */
  touch(expert: ExpertId): void {
    this.#stays.delete(expert);
  }

  /** The process has ended. */
  forget(cell: string): void {
    this.#extra.delete(cell);
  }
}
