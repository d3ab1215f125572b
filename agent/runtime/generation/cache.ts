/** The cache of keys and values of one sequence, as tensors of onnxruntime-node. */
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { bytesPerToken, type CacheSlot, isCacheOf, notOneRow } from './layout.ts';
import type { CacheKind } from './sharing.ts';

type Tensors = Record<string, Tensor>;

export interface KvCache {
  readonly kind: CacheKind;
  /** One for each slot: [1, heads, room for tokens, headSize]. */
  readonly tensors: readonly Tensor[];
  /** The inputs for a step after which the sequence has `tokens` tokens. */
  feeds(tokens: number): Tensors;
  /** The outputs to ask for; null lets the runtime make the tensor. */
  fetches(): Record<string, Tensor | null>;
  /** Takes the outputs of the step that left `tokens` tokens. */
  keep(outputs: InferenceSession.OnnxValueMapType, tokens: number): void;
  /** Keeps the first `tokens` tokens of each head. */
  truncate(tokens: number): void;
  /** In place of what it holds, takes copies of the first `tokens` tokens of another one. */
  copyFrom(tensors: readonly Tensor[], tokens: number): void;
}

export function openCache(kind: CacheKind, slots: readonly CacheSlot[]): KvCache {
  return kind === 'shared' ? new SharedCache(slots) : new GrowingCache(slots);
}

/** The runtime copies the whole buffer out after every step, so it is never much longer than the sequence. */
export const BUCKET_TOKENS = 64;

/** Bytes of a cache with so many tokens, with the copy that the runtime makes of it in every step. */
export function cacheBytes(kind: CacheKind, slots: readonly CacheSlot[], tokens: number): number {
  return 2 * bytesPerToken(slots) * (kind === 'shared' ? inBuckets(tokens) : tokens);
}

function inBuckets(tokens: number): number {
  return BUCKET_TOKENS * Math.ceil(tokens / BUCKET_TOKENS);
}

/** Works with every graph: each step's outputs are the next one's inputs, and the runtime copies all of it twice. */
class GrowingCache implements KvCache {
  readonly kind = 'growing';
  readonly #slots: readonly CacheSlot[];
  #tensors: readonly Tensor[];

  constructor(slots: readonly CacheSlot[]) {
    this.#slots = slots;
    this.#tensors = slots.map((slot) => empty(slot, 0));
  }

  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  feeds(): Tensors {
    return named(this.#slots, 'past', this.#tensors);
  }

  fetches(): Record<string, null> {
    return Object.fromEntries(this.#slots.map(({ present }) => [present, null]));
  }

  /** Throws a TypeError where the graph does not keep one row a token. */
  keep(outputs: InferenceSession.OnnxValueMapType, tokens: number): void {
    this.#tensors = this.#slots.map((slot) => {
      const output = outputs[slot.present];
      if (output instanceof Tensor && isCacheOf(slot, tokens, output.dims)) return asBits(output);
      throw notOneRow(tokens);
    });
  }

  truncate(tokens: number): void {
    this.copyFrom(this.#tensors, tokens);
  }

  copyFrom(tensors: readonly Tensor[], tokens: number): void {
    this.#tensors = copies(this.#slots, tensors, tokens, tokens);
  }
}

/** See sharing.ts. */
class SharedCache implements KvCache {
  readonly kind = 'shared';
  readonly #slots: readonly CacheSlot[];
  #tensors: readonly Tensor[] = [];
  #capacity = 0;

  constructor(slots: readonly CacheSlot[]) {
    this.#slots = slots;
  }

  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  feeds(tokens: number): Tensors {
    if (tokens > this.#capacity) this.#grow(this.#tensors, this.#capacity, inBuckets(tokens));
    return named(this.#slots, 'past', this.#tensors);
  }

  fetches(): Tensors {
    return named(this.#slots, 'present', this.#tensors);
  }

  /** They are in place already. */
  keep(): void {}

  truncate(tokens: number): void {
    const capacity = inBuckets(tokens);
    if (capacity < this.#capacity) this.#grow(this.#tensors, tokens, capacity);
  }

  copyFrom(tensors: readonly Tensor[], tokens: number): void {
    this.#grow(tensors, tokens, inBuckets(tokens));
  }

  #grow(from: readonly Tensor[], tokens: number, capacity: number): void {
    this.#tensors = copies(this.#slots, from, tokens, capacity);
    this.#capacity = capacity;
  }
}

function named(slots: readonly CacheSlot[], side: 'past' | 'present', tensors: readonly Tensor[]): Tensors {
  return Object.fromEntries(tensors.map((tensor, at) => [slots[at]?.[side], tensor]));
}

/** Tensors with room for `capacity` tokens that begin with the first `tokens` tokens of others. */
function copies(
  slots: readonly CacheSlot[],
  from: readonly Tensor[],
  tokens: number,
  capacity: number,
): readonly Tensor[] {
  return slots.map((slot, at) => {
    const copy = empty(slot, capacity);
    const original = from[at];
    if (original !== undefined) copyHeads(original, copy, slot, tokens);
    return copy;
  });
}

function empty({ type, heads, headSize }: CacheSlot, tokens: number): Tensor {
  const shape = [1, heads, tokens, headSize];
  const length = heads * tokens * headSize;
  return type === 'float32'
    ? new Tensor(type, new Float32Array(length), shape)
    : asBits(new Tensor(type, new Uint16Array(length), shape));
}

/**
 * onnxruntime-node takes the length of a Float16Array for zero, and its tensors of float16 are such arrays wherever
 * there are any: these hold the bits in its place. See microsoft/onnxruntime#26791, #32323.
 */
function asBits(tensor: Tensor): Tensor {
  if (tensor.type !== 'float16') return tensor;
  const { buffer, byteOffset, byteLength } = bytesOf(tensor);
  return Object.defineProperty(tensor, 'data', {
    value: new Uint16Array(buffer, byteOffset, byteLength / Uint16Array.BYTES_PER_ELEMENT),
  });
}

/** Copies the first tokens of each head. */
function copyHeads(from: Tensor, to: Tensor, { heads, rowBytes }: CacheSlot, tokens: number): void {
  const [source, target] = [bytesOf(from), bytesOf(to)];
  for (let head = 0; head < heads; head += 1) {
    const start = (head * source.length) / heads;
    const rows = source.subarray(start, start + tokens * rowBytes);
    target.set(rows, (head * target.length) / heads);
  }
}

function bytesOf({ data }: Tensor): Uint8Array {
  if (!ArrayBuffer.isView(data)) throw new TypeError('a cache of keys and values holds numbers');
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
