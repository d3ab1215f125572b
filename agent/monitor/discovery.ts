/**
 * Where the sensors are. Looking for them costs more than reading them, so it is done once, again every few minutes (a
 * USB battery may come), and soon after one could not be read (a driver was unloaded, its number changed).
 */

const STALE_MS = 300_000;
/** Some sensors fail for hours, such as those of a part that is switched off: they must not be looked for each time. */
const RETRY_MS = 30_000;

export class Discovery<T> {
  readonly #find: () => T;
  readonly #nowMs: () => number;
  #found: { readonly value: T; readonly atMs: number } | null = null;
  #lost = false;

  /** `nowMs` is any clock that never goes back. */
  constructor(find: () => T, nowMs: () => number) {
    this.#find = find;
    this.#nowMs = nowMs;
  }

  get(): T {
    const nowMs = this.#nowMs();
    const found = this.#found;
    if (found !== null && nowMs - found.atMs < (this.#lost ? RETRY_MS : STALE_MS)) return found.value;
    const value = this.#find();
    this.#found = { value, atMs: nowMs };
    this.#lost = false;
    return value;
  }

  /** Tells that something that was found could not be read. */
  lost(): void {
    this.#lost = true;
  }
}
