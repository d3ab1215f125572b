/**
 * When to try again: full jitter (any moment of a window, all as likely) over windows that double. So the devices of
 * a fleet that lost their broker together come back spread over the first window: 200 of them at 7 a second.
 */
const FIRST_WINDOW_MS = 30_000;
const LAST_WINDOW_MS = 300_000;

export class Backoff {
  readonly #random: () => number;
  #windowMs = FIRST_WINDOW_MS;

  /** `random` is uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * Time to wait now, after a link that was up for `upMs` (0 for an attempt that failed). Only a link that outlasted
   * its window counts as recovery: two agents that throw each other out under one id slow down until somebody looks.
   */
  nextMs(upMs: number): number {
    if (upMs > this.#windowMs) this.#windowMs = FIRST_WINDOW_MS;
    const delayMs = this.#random() * this.#windowMs;
    this.#windowMs = Math.min(this.#windowMs * 2, LAST_WINDOW_MS);
    return delayMs;
  }
}
