/**
 * This process' memory as the kernel sees it. Reading it through a file fails where a plain read of an address that
 * another thread has just given back would end the process.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Address } from './foreign.ts';

/** What is in memory of some pages. */
export interface PageCount {
  readonly presentBytes: number;
  /** Of pages that are nobody's file: also those that are swapped out. Dropped, their content would be lost. */
  readonly ownBytes: number;
}

/** The upper half of an entry of `/proc/PID/pagemap`: bits 63, 62 and 61 (admin-guide/mm/pagemap). */
const PRESENT = 2 ** 31;
const SWAPPED = 2 ** 30;
const OF_FILE = 2 ** 29;
const ENTRY_BYTES = 8;

export class OwnMemory {
  readonly #memory: number;
  readonly #pagemap: number;
  readonly #pageBytes: number;
  #entries = Buffer.alloc(0);

  private constructor(memory: number, pagemap: number, pageBytes: number) {
    this.#memory = memory;
    this.#pagemap = pagemap;
    this.#pageBytes = pageBytes;
  }

  /** null where the kernel does not let a process look at itself. */
  static open(pageBytes: number): OwnMemory | null {
    let memory: number | null = null;
    try {
      memory = openSync('/proc/self/mem', 'r');
      return new OwnMemory(memory, openSync('/proc/self/pagemap', 'r'), pageBytes);
    } catch {
      if (memory !== null) closeSync(memory);
      return null;
    }
  }

  /** Fills `into` with what is at an address; false where not all of it is there. */
  read(at: Address, into: Uint8Array): boolean {
    return readWhole(this.#memory, into, at);
  }

  /** Of whole pages; sets the element of each one that has been touched to 1, in `seen`. null is "no data". */
  count(at: Address, bytes: number, seen?: Uint8Array): PageCount | null {
    const entries = this.#read(at, bytes);
    if (entries === null) return null;
    let [present, own] = [0, 0];
    for (let place = 4; place < entries.length; place += ENTRY_BYTES) {
      const state = entries.readUInt32LE(place);
      const isTouched = state >= PRESENT || (state & SWAPPED) !== 0;
      if (!isTouched) continue;
      if (state >= PRESENT) present += 1;
      if ((state & OF_FILE) === 0) own += 1;
      if (seen !== undefined) seen[(place - 4) / ENTRY_BYTES] = 1;
    }
    return { presentBytes: present * this.#pageBytes, ownBytes: own * this.#pageBytes };
  }

  /** For each page 1 where it was ever touched and is not forgotten, else 0; null is "no data". */
  touched(at: Address, bytes: number): Uint8Array | null {
    const seen = new Uint8Array(bytes / this.#pageBytes);
    return this.count(at, bytes, seen) === null ? null : seen;
  }

  close(): void {
    closeSync(this.#memory);
    closeSync(this.#pagemap);
  }

  #read(at: Address, bytes: number): Buffer | null {
    const length = (bytes / this.#pageBytes) * ENTRY_BYTES;
    if (this.#entries.length < length) this.#entries = Buffer.alloc(length);
    const entries = this.#entries.subarray(0, length);
    const first = (at / BigInt(this.#pageBytes)) * BigInt(ENTRY_BYTES);
    return readWhole(this.#pagemap, entries, first) ? entries : null;
  }
}

/** False where the file ends before the array is full, or cannot be read. */
export function readWhole(file: number, into: Uint8Array, from: bigint): boolean {
  try {
    let filled = 0;
    while (filled < into.length) {
      const read = readSync(file, into, filled, into.length - filled, from + BigInt(filled));
      if (read === 0) return false;
      filled += read;
    }
    return true;
  } catch {
    return false;
  }
}
