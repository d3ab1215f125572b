/**
 * What several alarms ring, often at once: it is heard at most twice a second, and never lost. One that rings without end
 * is heard ever more seldom: a group above the own one may be at its limit for days because of others in it.
 */

/** A look takes milliseconds; more of them in a shortage would only add to it. */
export const REST_MS = 500;
/** Of a bell that does not come to rest. The usual looks go on meanwhile. */
const LONGEST_REST_MS = 8 * REST_MS;

export class Bell {
  readonly #onRing: () => void;
  readonly #nowMs: () => number;
  #heardMs = Number.NEGATIVE_INFINITY;
  #restMs = REST_MS;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  /** `nowMs` is a clock that never goes back. */
  constructor(onRing: () => void, nowMs = (): number => performance.now()) {
    this.#onRing = onRing;
    this.#nowMs = nowMs;
  }

  ring(): void {
    if (this.#stopped || this.#timer !== null) return;
    const leftMs = this.#heardMs + this.#restMs - this.#nowMs();
    if (leftMs <= 0) this.#hear(REST_MS);
    else {
      const restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS);
      this.#timer = setTimeout(() => this.#hear(restMs), leftMs).unref();
    }
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** `restMs`: how long it rests afterwards. */
  #hear(restMs: number): void {
    this.#timer = null;
    this.#restMs = restMs;
    this.#heardMs = this.#nowMs();
    this.#onRing();
  }
}
