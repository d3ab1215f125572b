/**
 * The tokens that say something, in the order of their bytes. All bytes lie in one array: an object and a string for
 * each of 49,000 tokens would leave a heap behind that is 15 MB larger for good.
 */
import type { TextTokenizer } from '../tokenizers/tokenizer.ts';

/** What a grammar needs of a tokenizer. */
export type Tokens = Pick<TextTokenizer, 'size' | 'bytesOf'>;

export class Spoken {
  /** Nodes of the tree of all beginnings, with its root. */
  readonly nodes: number;
  /** Bytes of the longest token. */
  readonly longest: number;
  readonly #sorted: Int32Array;
  /** By id: where its bytes begin. One more than there are ids. */
  readonly #starts: Int32Array;
  readonly #bytes: Uint8Array;

  /** Ids from `size` on and those in `silent` say nothing. */
  constructor(tokenizer: Tokens, size: number, silent: ReadonlySet<number>) {
    const count = Math.min(size, tokenizer.size);
    this.#starts = new Int32Array(count + 1);
    this.#bytes = gather(tokenizer, silent, this.#starts);
    const speaking = new Int32Array(count);
    let tokens = 0;
    let longest = 0;
    for (let id = 0; id < count; id += 1) {
      const length = (this.#starts[id + 1] ?? 0) - (this.#starts[id] ?? 0);
      if (length > 0) speaking[tokens++] = id;
      longest = Math.max(longest, length);
    }
    this.#sorted = speaking.subarray(0, tokens).sort((a, b) => this.#compare(a, b));
    this.longest = longest;
    let nodes = 1;
    for (let at = 0; at < tokens; at += 1) nodes += this.said(at).length - this.shared(at);
    this.nodes = nodes;
  }

  get count(): number {
    return this.#sorted.length;
  }

  id(at: number): number {
    return this.#sorted[at] ?? -1;
  }

  said(at: number): Uint8Array {
    const id = this.id(at);
    return this.#bytes.subarray(this.#starts[id], this.#starts[id + 1]);
  }

  /** How many bytes this one begins with as the one before it does. */
  shared(at: number): number {
    if (at === 0) return 0;
    const [before, said] = [this.said(at - 1), this.said(at)];
    let length = 0;
    while (length < before.length && before[length] === said[length]) length += 1;
    return length;
  }

  #compare(a: number, b: number): number {
    const bytes = this.#bytes;
    let [atA, atB] = [this.#starts[a] ?? 0, this.#starts[b] ?? 0];
    const [endA, endB] = [this.#starts[a + 1] ?? 0, this.#starts[b + 1] ?? 0];
    while (atA < endA && atB < endB) {
      const difference = (bytes[atA++] ?? 0) - (bytes[atB++] ?? 0);
      if (difference !== 0) return difference;
    }
    return endA - atA - (endB - atB) || a - b;
  }
}

/** Puts the bytes of all ids one after the other, and where each begins into `starts`. */
function gather(tokenizer: Tokens, silent: ReadonlySet<number>, starts: Int32Array): Uint8Array {
  const count = starts.length - 1;
  let bytes = new Uint8Array(8 * count);
  let length = 0;
  for (let id = 0; id < count; id += 1) {
    const said = silent.has(id) ? null : tokenizer.bytesOf(id);
    if (said !== null) {
      if (length + said.length > bytes.length) bytes = grown(bytes, length + said.length);
      bytes.set(said, length);
      length += said.length;
    }
    starts[id + 1] = length;
  }
  return bytes;
}

function grown(bytes: Uint8Array, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(least, 2 * bytes.length));
  larger.set(bytes);
  return larger;
}
