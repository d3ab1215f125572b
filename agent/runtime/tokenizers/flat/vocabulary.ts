/** The tokens of a compiled tokenizer: bytes -> id and back, over flat tables. */
import { HASH_START, hashByte } from '../word-table.ts';
import { PRESENT, type Tables, WHOLE } from './format.ts';
import { badTokenizer } from './refusal.ts';

export type VocabularyTables = Pick<Tables, 'starts' | 'text' | 'flags' | 'slots'>;

export class Vocabulary {
  /** The highest id and one. */
  readonly size: number;
  readonly #starts: Uint32Array;
  readonly #text: Uint8Array;
  readonly #flags: Uint8Array;
  readonly #slots: Uint32Array;

  constructor({ starts, text, flags, slots }: VocabularyTables) {
    this.size = flags.length;
    this.#starts = starts;
    this.#text = text;
    this.#flags = flags;
    this.#slots = slots;
  }

  /** Id of the token `bytes[from, to)`, whose hash is `hash`; -1 if there is none. */
  find(hash: number, bytes: Uint8Array, from: number, to: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = spread(hash) & mask; ; slot = (slot + 1) & mask) {
      const id = (this.#slots[slot] ?? 0) - 1;
      if (id < 0 || this.#equals(id, bytes, from, to)) return id;
    }
  }

  /** Id of a token by its bytes; -1 if there is none. */
  idOf(bytes: Uint8Array): number {
    return this.find(hashOf(bytes, 0, bytes.length), bytes, 0, bytes.length);
  }

  /** True where a word that is this token's text is this token alone. */
  isWhole(id: number): boolean {
    return ((this.#flags[id] ?? 0) & WHOLE) !== 0;
  }

  /** A view of the token's bytes; null for an id without a token. */
  bytesOf(id: number): Uint8Array | null {
    if (((this.#flags[id] ?? 0) & PRESENT) === 0) return null;
    return this.#text.subarray(this.#starts[id], this.#starts[id + 1]);
  }

  #equals(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.#starts[id] ?? 0;
    const length = (this.#starts[id + 1] ?? 0) - start;
    if (length !== to - from) return false;
    for (let at = 0; at < length; at += 1) if (this.#text[start + at] !== bytes[from + at]) return false;
    return true;
  }
}

export function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = HASH_START;
  for (let at = from; at < to; at += 1) hash = hashByte(hash, bytes[at] ?? 0);
  return hash;
}

/** Tables with slots for the tokens of which `isFound` says so. Throws `bad_expert` for two with the same bytes. */
export function withSlots(
  tables: Omit<VocabularyTables, 'slots'>,
  isFound: (id: number) => boolean,
): VocabularyTables {
  const { starts, text, flags } = tables;
  const slots = new Uint32Array(slotCount(flags.length));
  const mask = slots.length - 1;
  const vocabulary = new Vocabulary({ ...tables, slots });
  for (let id = 0; id < flags.length; id += 1) {
    if (!isFound(id)) continue;
    const [from, to] = [starts[id] ?? 0, starts[id + 1] ?? 0];
    const hash = hashOf(text, from, to);
    if (vocabulary.find(hash, text, from, to) >= 0) {
      const token = new TextDecoder().decode(text.subarray(from, to));
      throw badTokenizer(`token ${id}, ${JSON.stringify(token)}, is there twice`);
    }
    let slot = spread(hash) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = id + 1;
  }
  return { ...tables, slots };
}

/** A power of two that leaves at least half of the slots free. */
export function slotCount(entries: number): number {
  return 1 << (33 - Math.clz32(Math.max(entries, 1)));
}

/** FNV's low bits are its weak ones. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}
