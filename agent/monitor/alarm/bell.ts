/** What several alarms ring, often at once: it is heard at most twice a second, and never lost. */

/** A look takes milliseconds; more of them in a shortage would only add to it. */
export const REST_MS = 500;

export class Bell {
  readonly #onRing: () => void;
  readonly #nowMs: () => number;
  #heardMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  /** `nowMs` is a clock that never goes back. */
  constructor(onRing: () => void, nowMs = (): number => performance.now()) {
    this.#onRing = onRing;
    this.#nowMs = nowMs;
  }

  ring(): void {
    if (this.#stopped || this.#timer !== null) return;
    const restMs = this.#heardMs + REST_MS - this.#nowMs();
    if (restMs <= 0) this.#hear();
    else this.#timer = setTimeout(() => this.#hear(), restMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #hear(): void {
    this.#timer = null;
    this.#heardMs = this.#nowMs();
    this.#onRing();
  }
}
