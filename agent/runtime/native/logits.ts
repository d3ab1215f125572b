/// <reference lib="esnext.float16" />
/** Where a sequence gets its logits: in place where the graph makes one row, else the last row of all that it makes. */
import type { Address } from '../../linux/foreign.ts';
import type { Pages } from '../../linux/pages.ts';
import type { NativeApi } from './api.ts';
import type { MadeTensor, NativeBinding } from './binding.ts';

/** What a graph's logits are like. */
export interface LogitsShape {
  readonly type: 'float32' | 'float16';
  readonly vocabulary: number;
  /** The graph answers with the row of the last token alone, however many tokens go in. */
  readonly lastOnly: boolean;
}

type Row = Float32Array | Float16Array;

export const LOGITS = 'logits';

export class Logits {
  readonly #api: NativeApi;
  readonly #binding: NativeBinding;
  readonly #shape: LogitsShape;
  /** One row, as the graph writes it. */
  readonly #row: Row;
  /** Rows of all tokens of the step that was prepared; null where the graph writes `#row`. */
  #rows: Pages | null = null;
  #isBound = false;

  constructor(api: NativeApi, binding: NativeBinding, shape: LogitsShape) {
    this.#api = api;
    this.#binding = binding;
    this.#shape = shape;
    this.#row = newRow(shape);
  }

  /** The logits that `settle` left; overwritten by the next step. */
  get values(): Float32Array {
    return this.#row instanceof Float32Array ? this.#row : Float32Array.from(this.#row);
  }

  /** Binds the output for a step of so many tokens. */
  prepare(tokens: number): void {
    if (tokens === 1 || this.#shape.lastOnly) {
      if (!this.#isBound) this.#bind(this.#api.foreign.addressOf(this.#row), 1);
      this.#isBound = true;
      return;
    }
    // Not the arena's: it could not give them back at the end of the step.
    this.#rows = this.#api.pages.map(tokens * this.#row.byteLength);
    this.#bind(this.#rows.address, tokens);
    this.#isBound = false;
  }

  /** After the step, also after one that failed: takes the last row, and lets go of the others. */
  settle(): void {
    if (this.#rows === null) return;
    const { address, bytes } = this.#rows;
    const last = address + BigInt(bytes - this.#row.byteLength);
    this.#api.pages.copy(last, this.#api.foreign.addressOf(this.#row), this.#row.byteLength);
    this.#bind(this.#api.foreign.addressOf(this.#row), 1);
    this.#isBound = true;
    this.#rows.release();
    this.#rows = null;
  }

  /** Once nothing is bound any more. */
  release(): void {
    this.#rows?.release();
    this.#rows = null;
  }

  #bind(at: Address, rows: number): void {
    const { type, vocabulary } = this.#shape;
    const bytes = rows * this.#row.byteLength;
    this.#binding.output(LOGITS, { at, bytes, type, shape: [1, rows, vocabulary] });
  }
}

/** Over a buffer of its own: V8 may keep the elements of a small array in its heap, where they move. */
function newRow({ type, vocabulary }: LogitsShape): Row {
  const Elements = type === 'float32' ? Float32Array : Float16Array;
  return new Elements(new ArrayBuffer(vocabulary * Elements.BYTES_PER_ELEMENT));
}

/** Shape of logits that a step of several tokens made. */
export function shapeOf({ shape }: MadeTensor, type: LogitsShape['type']): LogitsShape {
  const [, rows, vocabulary = 0] = shape;
  return { type, vocabulary, lastOnly: rows === 1 };
}
