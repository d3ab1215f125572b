/** One text that follows a compiled grammar. */
import type { Constraint } from '../generation/constraint.ts';
import type { TextTokenizer } from '../tokenizers/tokenizer.ts';
import type { Dfa } from './dfa.ts';
import type { Masks } from './masks.ts';
import { costOf, type Reading, type Stacks } from './stacks.ts';

/** Whose tokens the text is made of. */
export interface Speaker {
  readonly tokenizer: Pick<TextTokenizer, 'bytesOf'>;
  /** Tokens that end a text. */
  readonly endIds: ReadonlySet<number>;
  /** Number of logits. */
  readonly size: number;
}

export interface Following {
  readonly dfa: Dfa;
  readonly stacks: Stacks;
  readonly masks: Masks;
}

export class FollowedText implements Constraint {
  readonly #speaker: Speaker;
  readonly #following: Following;
  readonly #mask: Int32Array;
  #reading: Reading;
  #ended = false;

  constructor(speaker: Speaker, following: Following, start: Reading) {
    this.#speaker = speaker;
    this.#following = following;
    this.#reading = start;
    this.#mask = new Int32Array(Math.ceil(speaker.size / 32));
  }

  get complete(): boolean {
    return this.#ended || (this.#reading.done && this.#reading.frames.length === 0);
  }

  /** Tokens that are enough to complete the text from here; another way may be a little shorter. */
  get tokensToEnd(): number {
    return this.#ended ? 0 : costOf(this.#reading);
  }

  /**
   * The plan (`plan.ts`) decides what "in time" is: a token is allowed if the plan after it fits into what is left. Where
   * there is no such token (`left` was too small from the start), `left` counts for nothing.
   */
  allowed(left: number): Int32Array {
    this.#mask.fill(0);
    if (this.#ended || this.#reading.done) this.#allowEnds();
    if (this.#ended) return this.#mask;
    const { dfa, masks } = this.#following;
    dfa.renew();
    masks.add(this.#mask, this.#reading.frames, left - 1);
    const isStuck = !this.#reading.done && this.#mask.every((word) => word === 0);
    if (isStuck) masks.add(this.#mask, this.#reading.frames, Infinity);
    return this.#mask;
  }

  accept(id: number): void {
    const { endIds, tokenizer } = this.#speaker;
    if (endIds.has(id) && (this.#ended || this.#reading.done)) {
      this.#ended = true;
      return;
    }
    const bytes = this.#ended || endIds.has(id) ? null : tokenizer.bytesOf(id);
    if (bytes === null || bytes.length === 0) throw new RangeError(`token ${id} may not come here`);
    const { dfa, stacks } = this.#following;
    dfa.renew();
    let reading = this.#reading;
    for (const byte of bytes) reading = stacks.step(reading.frames, byte);
    if (reading.frames.length === 0 && !reading.done) throw new RangeError(`token ${id} may not come here`);
    this.#reading = reading;
  }

  /** The grammar stays; this text held nothing but its place in it. */
  release(): void {
    this.#ended = true;
  }

  #allowEnds(): void {
    for (const id of this.#speaker.endIds) {
      if (id < this.#speaker.size) this.#mask[id >> 5] = (this.#mask[id >> 5] ?? 0) | (1 << (id & 31));
    }
  }
}
