/** Ids to text, one by one. */

/** The replacement character: what bytes become that are not, or not yet, UTF-8. */
const REPLACEMENT = '\uFFFD';
/** Of a character of four bytes, three can be there while the last is missing. */
const MOST_INCOMPLETE = 3;
/** A character has at most four tokens, and decoders look at most at one neighbour. */
const KEPT_IDS = 8;

/** Turns a stream of ids into text, and keeps back what is not a whole character yet. */
export class TextStream {
  readonly #decode: (ids: readonly number[]) => string;
  /** The last ids. What they say alone ends like what all ids say. */
  #ids: number[] = [];
  /** How much of what `#ids` say was given out. */
  #given = 0;
  #isHolding = false;

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  /** True while a part of a character is kept back. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** The text that this id completes; may be empty. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.#decode(this.#ids);
    const whole = wholeLength(text);
    const fresh = text.slice(this.#given, whole);
    this.#given = Math.max(this.#given, whole);
    this.#isHolding = text.length > this.#given;
    if (this.#ids.length >= 2 * KEPT_IDS) {
      this.#ids = this.#ids.slice(-KEPT_IDS);
      this.#given = wholeLength(this.#decode(this.#ids));
    }
    return fresh;
  }

  /** What was kept back, when the model ended by itself: it did say something that is not UTF-8. */
  rest(): string {
    return this.#decode(this.#ids).slice(this.#given);
  }
}

/** Length of `text` without an end that later bytes may still turn into a character. */
function wholeLength(text: string): number {
  let length = text.length;
  while (length > 0 && text.length - length < MOST_INCOMPLETE && text[length - 1] === REPLACEMENT)
    length -= 1;
  return length;
}
