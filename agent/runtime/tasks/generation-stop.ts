/** Stop strings: text is given out as soon as it cannot be the beginning of one. */
export class StopScanner {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  /** Empty strings stop nothing. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** True once a stop string was met. What came before it was given out, the rest is not. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The text that may be given out now. */
  push(text: string): string {
    if (this.#stopped) return '';
    const whole = this.#held + text;
    const met = this.#firstMet(whole);
    if (met !== null) {
      this.#stopped = true;
      this.#held = '';
      return whole.slice(0, met);
    }
    const safe = whole.length - this.#longestBeginning(whole);
    this.#held = whole.slice(safe);
    return whole.slice(0, safe);
  }

  /** What is held at the end of the answer: it was no stop string after all. */
  rest(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** Where the stop string begins that is complete first, however the text was cut into pieces. */
  #firstMet(text: string): number | null {
    let met: { readonly start: number; readonly end: number } | null = null;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      const end = start + stop.length;
      if (start < 0 || (met !== null && (end > met.end || (end === met.end && start > met.start)))) continue;
      met = { start, end };
    }
    return met?.start ?? null;
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #longestBeginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
