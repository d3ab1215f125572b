import type { Clock } from '../../../agent/ports.ts';

/** A clock that goes when it is told to. */
export class FakeClock implements Clock {
  #nowMs = 1_000;
  readonly #alarms = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): () => void {
    const alarm = { atMs, callback };
    this.#alarms.add(alarm);
    return () => void this.#alarms.delete(alarm);
  }

  /** How long until each alarm that is set. */
  get aheadMs(): number[] {
    return [...this.#alarms].map(({ atMs }) => atMs - this.#nowMs).sort((a, b) => a - b);
  }

  /** Rings what is due on the way, each at its time, and lets streams and promises go on in between. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#alarms].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#alarms.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
      await settled();
    }
    this.#nowMs = endMs;
    await settled();
  }
}

/** When streams and promises have done what they can without time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
