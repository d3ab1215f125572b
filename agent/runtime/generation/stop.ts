/** Stop strings: text is given out as soon as it cannot be the beginning of one. */
export class StopScanner {
  readonly #stops: readonly StopString[];
  #held = '';
  #stopped = false;

  /** Empty strings stop nothing. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '').map((stop) => new StopString(stop));
  }

  /** True once a stop string was met. What came before it was given out, the rest is not. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The text that may be given out now. */
  push(text: string): string {
    if (this.#stopped) return '';
    if (this.#stops.length === 0) return text;
    const whole = this.#held + text;
    for (let at = this.#held.length; at < whole.length; at += 1) {
      const length = this.#longestMet(whole.charCodeAt(at));
      if (length === 0) continue;
      this.#stopped = true;
      this.#held = '';
      return whole.slice(0, at + 1 - length);
    }
    const safe = whole.length - Math.max(...this.#stops.map(({ matched }) => matched));
    this.#held = whole.slice(safe);
    return whole.slice(0, safe);
  }

  /** What is held at the end of the answer: it was no stop string after all. */
  rest(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** Length of the longest stop string that this UTF-16 unit completes; 0: none. */
  #longestMet(unit: number): number {
    let longest = 0;
    for (const stop of this.#stops) if (stop.push(unit)) longest = Math.max(longest, stop.length);
    return longest;
  }
}

/** One stop string and how much of it the text ends with (Knuth, Morris, Pratt 1977): a few comparisons a unit. */
class StopString {
  readonly #text: string;
  /** For every length of a beginning: that of the longest shorter one that it ends with. */
  readonly #shorter: readonly number[];
  /** Length of the longest beginning that the text ends with. */
  matched = 0;

  constructor(text: string) {
    this.#text = text;
    const shorter = [0, 0];
    for (let at = 1, length = 0; at < text.length; at += 1) {
      while (length > 0 && text[at] !== text[length]) length = shorter[length] ?? 0;
      if (text[at] === text[length]) length += 1;
      shorter.push(length);
    }
    this.#shorter = shorter;
  }

  get length(): number {
    return this.#text.length;
  }

  /** True where the unit completes it. */
  push(unit: number): boolean {
    while (this.matched > 0 && this.#text.charCodeAt(this.matched) !== unit)
      this.matched = this.#shorter[this.matched] ?? 0;
    if (this.#text.charCodeAt(this.matched) === unit) this.matched += 1;
    return this.matched === this.#text.length;
  }
}
