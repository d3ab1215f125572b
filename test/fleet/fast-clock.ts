/** Time that goes faster, so that windows and patience of minutes pass in a test; everything keeps its proportions. */
import { systemClock } from '../../agent/clock.ts';
import type { Clock } from '../../agent/ports.ts';

export class FastClock implements Clock {
  readonly #speed: number;
  readonly #startMs: number;
  #dueMs = 0;

  /** `speed`: seconds of it in one of ours. */
  constructor(speed: number, startMs = systemClock.nowMs()) {
    this.#speed = speed;
    this.#startMs = startMs;
  }

  /** One that shows the same time, and knows its own alarms only. */
  another(): FastClock {
    return new FastClock(this.#speed, this.#startMs);
  }

  /** For when the alarm was set that rang last: a machine that is busy rings several at once. */
  get dueMs(): number {
    return this.#dueMs;
  }

  nowMs(): number {
    return (systemClock.nowMs() - this.#startMs) * this.#speed;
  }

  at(atMs: number, callback: () => void): () => void {
    return systemClock.at(this.#startMs + atMs / this.#speed, () => {
      this.#dueMs = atMs;
      callback();
    });
  }
}
