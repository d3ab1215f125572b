/** What the system tells a service: to end, once and then by force, and to read its configuration again. */

/** Ctrl-C comes twice under npm, from the terminal and from npm: what follows this soon is the same wish. */
const SAME_WISH_MS = 1_000;

export interface SignalOptions {
  /** `process`. */
  readonly source: { on(signal: NodeJS.Signals, listener: () => void): unknown };
  readonly nowMs: () => number;
  /** Called when somebody asks again who cannot wait for the end. */
  readonly onImpatience: () => void;
}

export class Signals {
  /** Resolves with the signal that asks for the end. */
  readonly end: Promise<NodeJS.Signals>;
  #asked: NodeJS.Signals | null = null;
  readonly #waiting = new Set<(signal: NodeJS.Signals) => void>();
  #onReload: (() => void) | null = null;

  /** From here on no signal ends the process by itself. */
  constructor({ source, nowMs, onImpatience }: SignalOptions) {
    const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
    this.end = promise;
    let askedMs: number | null = null;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      source.on(signal, () => {
        if (askedMs !== null && nowMs() - askedMs >= SAME_WISH_MS) onImpatience();
        askedMs ??= nowMs();
        this.#asked ??= signal;
        resolve(this.#asked);
        for (const tell of this.#waiting) tell(this.#asked);
      });
    }
    source.on('SIGHUP', () => this.#onReload?.());
  }

  /**
   * Whichever comes first; rejects as `work` does. A race with `end` would hold whatever the work knows of until the
   * process ends, and an agent may start again many times in one process.
   */
  async endOr<T>(work: Promise<T>): Promise<NodeJS.Signals | T> {
    const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
    this.#waiting.add(resolve);
    if (this.#asked !== null) resolve(this.#asked);
    try {
      return await Promise.race([promise, work]);
    } finally {
      this.#waiting.delete(resolve);
    }
  }

  /** null, as before the first call: SIGHUP does nothing, since what it asks for is about to be read anyway. */
  onReload(listener: (() => void) | null): void {
    this.#onReload = listener;
  }
}
