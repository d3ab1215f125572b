/** A clock that goes when it is told to. */
import type { Clock } from '../../agent/ports.ts';

export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #due: { readonly atMs: number; readonly callback: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): () => void {
    const entry = { atMs, callback };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  /** How many calls are outstanding. */
  get pending(): number {
    return this.#due.length;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const now = this.#due.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#due = this.#due.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { callback } of now.sort((a, b) => a.atMs - b.atMs)) callback();
  }
}
