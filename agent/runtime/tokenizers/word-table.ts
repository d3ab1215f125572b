/**
 * A vocabulary as bytes: words -> ids without one JavaScript string a word. MiniLM's 30,522 words cost 0.6 MB here
 * and 8 to 10 MB as a Map.
 */
import { AgentError } from '../../errors.ts';

const NEWLINE = 10;
const PRIME = 16_777_619;
/** FNV-1a's offset basis: the hash of no bytes. */
export const HASH_START = 0x811c9dc5;

/** One step of fastText's FNV-1a (`Dictionary::hash`): it sign-extends the byte, so it differs from FNV above 0x7f. */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ ((byte << 24) >> 24), PRIME);
}

export class WordTable {
  readonly #bytes: Uint8Array;
  /** Start of each word, and of the one after the last. */
  readonly #starts: Uint32Array;
  /** Open addressing at half load at most: id + 1, or 0 for a free slot. */
  readonly #slots: Int32Array;

  /** `bytes` holds one word a line in the order of ids; it is kept, not copied. `bad_expert` for a word that comes twice. */
  constructor(bytes: Uint8Array, file: string) {
    this.#bytes = bytes;
    this.#starts = lineStarts(bytes);
    this.#slots = new Int32Array(1 << (33 - Math.clz32(Math.max(this.size, 1))));
    for (let id = 0; id < this.size; id += 1) this.#insert(id, file);
  }

  get size(): number {
    return this.#starts.length - 1;
  }

  /** Id of the word `bytes[from, to)`, whose hash is `hash`; -1 if there is none. */
  find(hash: number, bytes: Uint8Array, from: number, to: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = spread(hash) & mask; ; slot = (slot + 1) & mask) {
      const id = (this.#slots[slot] ?? 0) - 1;
      if (id < 0 || this.#equals(id, bytes, from, to)) return id;
    }
  }

  /** Id of a word; -1 if there is none. */
  idOf(word: string): number {
    const bytes = new TextEncoder().encode(word);
    return this.find(bytes.reduce(hashByte, HASH_START), bytes, 0, bytes.length);
  }

  #insert(id: number, file: string): void {
    const from = this.#starts[id] ?? 0;
    const to = (this.#starts[id + 1] ?? 0) - 1;
    let hash = HASH_START;
    for (let at = from; at < to; at += 1) hash = hashByte(hash, this.#bytes[at] ?? 0);
    if (from === to || this.find(hash, this.#bytes, from, to) >= 0) {
      const word = new TextDecoder().decode(this.#bytes.subarray(from, to));
      const what = from === to ? 'is empty' : `"${word}" is there twice`;
      throw new AgentError('bad_expert', `${file}: word ${id + 1} ${what}.`, {
        hint: 'Fetch the expert again.',
      });
    }
    const mask = this.#slots.length - 1;
    let slot = spread(hash) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = id + 1;
  }

  #equals(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.#starts[id] ?? 0;
    const length = (this.#starts[id + 1] ?? 0) - 1 - start;
    if (length !== to - from) return false;
    for (let at = 0; at < length; at += 1) if (this.#bytes[start + at] !== bytes[from + at]) return false;
    return true;
  }
}

/** FNV's low bits are its weak ones. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

/** A last line without a newline counts as one. */
function lineStarts(bytes: Uint8Array): Uint32Array {
  const starts = [0];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, from);
    from = (end < 0 ? bytes.length : end) + 1;
    starts.push(from);
  }
  return Uint32Array.from(starts);
}
