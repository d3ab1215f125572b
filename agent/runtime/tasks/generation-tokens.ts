/** Text to tokens and back. */
import { Tokenizer } from '@huggingface/tokenizers';
import type { Manifest } from '../../catalog/manifest.ts';
import { badExpert } from '../graph.ts';
import type { Json } from './generation-settings.ts';

/** The replacement character: what bytes become that are not, or not yet, UTF-8. */
const REPLACEMENT = '\uFFFD';
/** Of a character of four bytes, three can be there while the last is missing. */
const MOST_INCOMPLETE = 3;
/** A character has at most four tokens, and decoders look at most at one neighbour. */
const KEPT_IDS = 8;

export class GenerationTokenizer {
  readonly #tokenizer: Tokenizer;
  /** The highest id and one. */
  readonly size: number;

  /** Throws `bad_expert` for files that make no tokenizer. */
  constructor(manifest: Manifest, tokenizer: Json, config: Json) {
    try {
      this.#tokenizer = new Tokenizer(tokenizer, config);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw badExpert(manifest, `its tokenizer cannot be used: ${reason}`);
    }
    let highest = -1;
    for (const id of this.#tokenizer.get_vocab(true).values()) highest = Math.max(highest, id);
    this.size = highest + 1;
  }

  /** Ids of a rendered prompt: the template has written the special tokens, none are added. */
  encode(prompt: string): readonly number[] {
    return this.#tokenizer.encode(prompt, { add_special_tokens: false }).ids;
  }

  /** Special tokens are left out, spaces stay as they were said. */
  decode(ids: readonly number[]): string {
    // The library refuses an empty list.
    if (ids.length === 0) return '';
    return this.#tokenizer.decode([...ids], {
      skip_special_tokens: true,
      clean_up_tokenization_spaces: false,
    });
  }
}

/** Turns a stream of ids into text, and keeps back what is not a whole character yet. */
export class TextStream {
  readonly #decode: (ids: readonly number[]) => string;
  /** The last ids. What they say alone ends like what all ids say. */
  #ids: number[] = [];
  /** How much of what `#ids` say was given out. */
  #given = 0;

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  /** The text that this id completes; may be empty. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.#decode(this.#ids);
    const whole = wholeLength(text);
    const fresh = text.slice(this.#given, whole);
    this.#given = Math.max(this.#given, whole);
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
