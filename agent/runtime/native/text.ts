/** The inputs that carry the text of a step. */
import type { Foreign } from '../../linux/foreign.ts';
import { type DecoderLayout, LOGITS_COUNT } from '../generation/layout.ts';
import type { NativeBinding } from './binding.ts';

/** Tokens that there is room for at first. */
const LEAST_TOKENS = 128;

/** One for all sequences of a model: steps do not overlap, and each binds all of it anew. */
export class TextInputs {
  readonly #foreign: Foreign;
  readonly #layout: DecoderLayout;
  #ids = int64s(LEAST_TOKENS);
  #positions = int64s(LEAST_TOKENS);
  /** Nothing of a text is ever hidden: ones. */
  #mask = int64s(LEAST_TOKENS).fill(1n);
  readonly #one = int64s(1).fill(1n);

  constructor(foreign: Foreign, layout: DecoderLayout) {
    this.#foreign = foreign;
    this.#layout = layout;
  }

  /** Binds tokens that come after `before` others. */
  bind(binding: NativeBinding, ids: readonly number[], before: number): void {
    const total = before + ids.length;
    this.#makeRoom(ids.length, total);
    for (let at = 0; at < ids.length; at += 1) {
      this.#ids[at] = BigInt(ids[at] ?? 0);
      this.#positions[at] = BigInt(before + at);
    }
    const { takesPositions, takesLogitsCount } = this.#layout;
    this.#bind(binding, 'input_ids', this.#ids, [1, ids.length]);
    this.#bind(binding, 'attention_mask', this.#mask, [1, total]);
    if (takesPositions) this.#bind(binding, 'position_ids', this.#positions, [1, ids.length]);
    if (takesLogitsCount) this.#bind(binding, LOGITS_COUNT, this.#one, []);
  }

  #makeRoom(tokens: number, total: number): void {
    if (tokens > this.#ids.length) {
      this.#ids = int64s(tokens);
      this.#positions = int64s(tokens);
    }
    if (total > this.#mask.length) this.#mask = int64s(2 * total).fill(1n);
  }

  #bind(binding: NativeBinding, name: string, array: BigInt64Array, shape: readonly number[]): void {
    const length = shape.reduce((product, size) => product * size, 1);
    binding.input(name, {
      at: this.#foreign.addressOf(array),
      bytes: length * array.BYTES_PER_ELEMENT,
      type: 'int64',
      shape,
    });
  }
}

/** Over a buffer of its own: V8 may keep the elements of a small array in its heap, where they move. */
function int64s(length: number): BigInt64Array {
  return new BigInt64Array(new ArrayBuffer(length * BigInt64Array.BYTES_PER_ELEMENT));
}
