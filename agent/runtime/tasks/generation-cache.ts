/** The cache of keys and values of one sequence, in one of two forms. */
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { CacheSlot } from './generation-layout.ts';

type Tensors = Record<string, Tensor>;

export interface KvCache {
  /** The inputs for a step after which the sequence has `tokens` tokens. */
  feeds(tokens: number): Tensors;
  /** The outputs to ask for; null lets the runtime make the tensor. */
  fetches(): Record<string, Tensor | null>;
  /** Takes the outputs of the step. */
  keep(outputs: InferenceSession.OnnxValueMapType): void;
}

export type CacheKind = 'shared' | 'growing';

export function openCache(kind: CacheKind, slots: readonly CacheSlot[]): KvCache {
  return kind === 'shared' ? new SharedCache(slots) : new GrowingCache(slots);
}

/** Works with every graph: each step's outputs are the next one's inputs, and the runtime copies all of it twice. */
class GrowingCache implements KvCache {
  readonly #slots: readonly CacheSlot[];
  #past: Tensors;

  constructor(slots: readonly CacheSlot[]) {
    this.#slots = slots;
    this.#past = Object.fromEntries(slots.map((slot) => [slot.past, empty(slot, 0)]));
  }

  feeds(): Tensors {
    return this.#past;
  }

  fetches(): Record<string, null> {
    return Object.fromEntries(this.#slots.map(({ present }) => [present, null]));
  }

  keep(outputs: InferenceSession.OnnxValueMapType): void {
    this.#past = Object.fromEntries(
      this.#slots.map(({ past, present }) => {
        const output = outputs[present];
        if (!(output instanceof Tensor)) throw new TypeError(`the output ${present} is not a tensor`);
        return [past, output];
      }),
    );
  }
}

/** The runtime copies the whole buffer out after every step, so it is never much longer than the sequence. */
export const BUCKET_TOKENS = 64;

/**
 * GroupQueryAttention writes new keys and values in place where past and present are one tensor with room at its
 * end. At 512 tokens of a 135M model a step took 20 ms so, and 30 ms with a growing cache.
 */
class SharedCache implements KvCache {
  readonly #slots: readonly CacheSlot[];
  #buffers: readonly Tensor[] = [];
  #capacity = 0;

  constructor(slots: readonly CacheSlot[]) {
    this.#slots = slots;
  }

  feeds(tokens: number): Tensors {
    if (tokens > this.#capacity) this.#grow(BUCKET_TOKENS * Math.ceil(tokens / BUCKET_TOKENS));
    return this.#named('past');
  }

  fetches(): Tensors {
    return this.#named('present');
  }

  /** They are in place already. */
  keep(): void {}

  #named(side: 'past' | 'present'): Tensors {
    return Object.fromEntries(this.#buffers.map((buffer, at) => [this.#slots[at]?.[side], buffer]));
  }

  #grow(capacity: number): void {
    this.#buffers = this.#slots.map((slot, at) => {
      const larger = empty(slot, capacity);
      const smaller = this.#buffers[at];
      if (smaller !== undefined) copyHeads(smaller, larger, slot);
      return larger;
    });
    this.#capacity = capacity;
  }
}

function empty({ heads, headSize }: CacheSlot, tokens: number): Tensor {
  return new Tensor('float32', new Float32Array(heads * tokens * headSize), [1, heads, tokens, headSize]);
}

/** Copies [1, heads, tokens, headSize] into the beginning of each head of a tensor with more tokens. */
function copyHeads(from: Tensor, to: Tensor, { heads }: CacheSlot): void {
  if (!(from.data instanceof Float32Array) || !(to.data instanceof Float32Array)) return;
  const length = from.data.length / heads;
  const stride = to.data.length / heads;
  for (let head = 0; head < heads; head += 1) {
    to.data.set(from.data.subarray(head * length, (head + 1) * length), head * stride);
  }
}
