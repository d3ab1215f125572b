/** What the tokens say, as a tree of bytes: tokens that begin alike are looked at once. */
import { Spoken, type Tokens } from './spoken.ts';

export class Vocabulary {
  /** 32-bit words of a mask over all logits. */
  readonly words: number;
  /** Bytes of the longest token. */
  readonly longest: number;
  /** 1 for each byte that some token says alone. */
  readonly usable = new Uint8Array(256);
  /** Nodes in depth-first order; node 0 is the root and has no byte. */
  readonly bytes: Uint8Array;
  /** The token that ends at a node; -1: none. */
  readonly ids: Int32Array;
  /** The first node after all that is below a node: the children of `n` are `n + 1`, its `ends`, and so on. */
  readonly ends: Int32Array;
  /** Further tokens that say the same as a token. */
  readonly twins = new Map<number, number[]>();

  /**
   * Tokens that end a text, special tokens and those beyond the logits say nothing. Keeps 9 bytes a node: 1 MB for
   * 49,000 tokens.
   */
  constructor(tokenizer: Tokens, size: number, endIds: ReadonlySet<number>) {
    const spoken = new Spoken(tokenizer, size, endIds);
    const nodes = spoken.nodes;
    this.words = Math.ceil(size / 32);
    this.longest = spoken.longest;
    this.bytes = new Uint8Array(nodes);
    this.ids = new Int32Array(nodes).fill(-1);
    this.ends = new Int32Array(nodes).fill(nodes);
    this.#plant(spoken);
    for (let child = 1; child < nodes; child = this.ends[child] ?? nodes) {
      if ((this.ids[child] ?? -1) >= 0) this.usable[this.bytes[child] ?? 0] = 1;
    }
  }

  /** Sets the bits of a token and its twins. */
  allow(mask: Int32Array, id: number): void {
    mask[id >> 5] = (mask[id >> 5] ?? 0) | (1 << (id & 31));
    if (this.twins.size === 0) return;
    for (const twin of this.twins.get(id) ?? [])
      mask[twin >> 5] = (mask[twin >> 5] ?? 0) | (1 << (twin & 31));
  }

  /** Tokens that say these usable bytes, each the longest that fits. */
  tokensOf(said: readonly number[]): number {
    let tokens = 0;
    for (let at = 0; at < said.length; tokens += 1) at += Math.max(1, this.#longestAt(said, at));
    return tokens;
  }

  #longestAt(said: readonly number[], from: number): number {
    let node = 0;
    let length = 0;
    for (let at = from; at < said.length; at += 1) {
      node = this.#child(node, said[at] ?? 0);
      if (node < 0) break;
      if ((this.ids[node] ?? -1) >= 0) length = at + 1 - from;
    }
    return length;
  }

  #child(node: number, byte: number): number {
    const end = this.ends[node] ?? 0;
    for (let child = node + 1; child < end; child = this.ends[child] ?? end) {
      if (this.bytes[child] === byte) return child;
    }
    return -1;
  }

  #plant(spoken: Spoken): void {
    const path = [0];
    let nodes = 1;
    for (let at = 0; at < spoken.count; at += 1) {
      const shared = spoken.shared(at);
      for (const node of path.splice(shared + 1)) this.ends[node] = nodes;
      const said = spoken.said(at);
      for (const byte of said.subarray(shared)) {
        this.bytes[nodes] = byte;
        path.push(nodes++);
      }
      this.#name(path[said.length] ?? 0, spoken.id(at));
    }
  }

  #name(node: number, id: number): void {
    const first = this.ids[node] ?? -1;
    if (first < 0) this.ids[node] = id;
    else this.twins.set(first, [...(this.twins.get(first) ?? []), id]);
  }
}
