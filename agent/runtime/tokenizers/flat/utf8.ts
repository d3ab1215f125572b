/** Text as UTF-8 in a buffer that is used again and again, with the hash of it. */
import { HASH_START, hashByte } from '../word-table.ts';

/** Most bytes of one UTF-16 unit. */
const UNIT_BYTES = 3;
/** A buffer that had to grow past this for one word is let go at the next. */
const KEPT_BYTES = 65_536;

export class Utf8Buffer {
  bytes = new Uint8Array(256);
  length = 0;
  /** Hash of the bytes. */
  hash = HASH_START;

  /** Replaces what is there by `text`, which has no lone surrogates. */
  set(text: string): void {
    this.#reserve(text.length * UNIT_BYTES);
    const { bytes } = this;
    let hash = HASH_START;
    for (let at = 0; at < text.length; at += 1) {
      const unit = text.charCodeAt(at);
      if (unit >= 0x80) {
        this.length = new TextEncoder().encodeInto(text, bytes).written;
        this.#rehash();
        return;
      }
      bytes[at] = unit;
      hash = hashByte(hash, unit);
    }
    this.length = text.length;
    this.hash = hash;
  }

  setBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.bytes.set(bytes);
    this.length = bytes.length;
    this.#rehash();
  }

  #rehash(): void {
    let hash = HASH_START;
    for (let at = 0; at < this.length; at += 1) hash = hashByte(hash, this.bytes[at] ?? 0);
    this.hash = hash;
  }

  #reserve(bytes: number): void {
    const room = this.bytes.length;
    if (bytes > room || (room > KEPT_BYTES && bytes <= KEPT_BYTES / 2))
      this.bytes = new Uint8Array(Math.max(256, 2 * bytes));
  }
}

/** Bytes of the UTF-8 character that begins with this byte. */
export function charBytes(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}
