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
  #onReload: () => void = () => {};

  /** From here on no signal ends the process by itself. */
  constructor({ source, nowMs, onImpatience }: SignalOptions) {
    const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
    this.end = promise;
    let askedMs: number | null = null;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      source.on(signal, () => {
        if (askedMs !== null && nowMs() - askedMs >= SAME_WISH_MS) onImpatience();
        askedMs ??= nowMs();
        resolve(signal);
      });
    }
    source.on('SIGHUP', () => this.#onReload());
  }

  /** Before this, SIGHUP does nothing: what it asks for is about to be read anyway. */
  onReload(listener: () => void): void {
    this.#onReload = listener;
  }
}
