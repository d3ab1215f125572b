/**
 * Finds in the memory of this process what ONNX Runtime has allocated for itself. It aligns everything to a line of the
 * cache with `posix_memalign`, and glibc marks that: a large block is a mapping of its own, whose first page begins with
 * the header of the whole and has, right before the aligned memory, a second one that tells how far that is
 * (malloc/malloc.c: `sysmalloc_mmap`, `_int_memalign`). Nothing else in a cell asks for alignment, and what V8 allocates,
 * and frees on threads of its own, is never taken for a chunk.
 */
import type { Address } from '../../linux/foreign.ts';
import type { Range } from '../../linux/mappings.ts';

/** A whole allocation: whole pages. */
export interface Chunk {
  readonly start: Address;
  readonly bytes: number;
}

const BLOCK_BYTES = 256 * 1024;
/** Of a page, what must be seen to know whether a chunk begins there. */
export const HEAD_BYTES = 128;
/** Two words: the size of what comes before, and its own size with three flags in the lowest bits. */
const HEADER_BYTES = 16;
const FLAGS = 7n;
const IS_MMAPPED = 2n;
/** ONNX Runtime asks for 64; lines of 128 bytes are the longest ones there are. */
const ALIGNMENTS = [64, 128];

/** Size in bytes of the chunk that begins with `head`, which is at a page's first byte; null where none does. */
export function chunkBytes(head: Buffer, pageBytes: number): number | null {
  // Nearly every page that is looked at is none: this costs least.
  if (head.readUInt32LE(0) !== 0 || head.readUInt32LE(8) % pageBytes !== Number(IS_MMAPPED)) return null;
  const whole = headerAt(head, 0);
  const bytes = Number(whole.size);
  if (whole.before !== 0n || bytes === 0 || !Number.isSafeInteger(bytes)) return null;
  const isAligned = ALIGNMENTS.some((alignment) => {
    const lead = alignment - HEADER_BYTES;
    const aligned = headerAt(head, lead);
    return aligned.isMmapped && aligned.before === BigInt(lead) && aligned.size === BigInt(bytes - lead);
  });
  return isAligned ? bytes : null;
}

function headerAt(head: Buffer, at: number): { before: bigint; size: bigint; isMmapped: boolean } {
  const size = head.readBigUInt64LE(at + 8);
  return { before: head.readBigUInt64LE(at), size: size & ~FLAGS, isMmapped: (size & FLAGS) === IS_MMAPPED };
}

/** How the memory is looked at. */
export interface Sight {
  readonly pageBytes: number;
  /** For each page of a range 1 where it was ever touched: nothing begins elsewhere. null is "no data". */
  touched(range: Range): Uint8Array | null;
  /** Fills `into` with what is at an address; false where not all of it is there any more. */
  read(at: Address, into: Uint8Array): boolean;
}

/** The chunks that lie within the ranges, whole. */
export function findChunks(ranges: readonly Range[], sight: Sight): readonly Chunk[] {
  const { pageBytes } = sight;
  const block = Buffer.allocUnsafeSlow(Math.max(HEAD_BYTES, BLOCK_BYTES));
  const chunks: Chunk[] = [];
  for (const range of ranges) {
    const touched = sight.touched(range) ?? new Uint8Array();
    const heads = new Heads(range, touched, sight, block);
    let page = touched.indexOf(1);
    while (page >= 0) {
      const start = range.start + BigInt(page * pageBytes);
      const head = heads.at(page);
      const bytes = head === null ? null : chunkBytes(head, pageBytes);
      const fits = bytes !== null && start + BigInt(bytes) <= range.end;
      if (fits) chunks.push({ start, bytes });
      page = touched.indexOf(1, page + (fits ? bytes / pageBytes : 1));
    }
  }
  return chunks;
}

/**
 * The heads of the pages of a range, read in blocks that grow while page follows page: a read takes 2 us whatever its
 * length, and a process has thousands of pages in which nothing begins.
 */
class Heads {
  readonly #range: Range;
  readonly #touched: Uint8Array;
  readonly #sight: Sight;
  readonly #block: Buffer;
  /** Pages in the block: from the first to before the second. */
  #from = 0;
  #to = 0;

  constructor(range: Range, touched: Uint8Array, sight: Sight, block: Buffer) {
    this.#range = range;
    this.#touched = touched;
    this.#sight = sight;
    this.#block = block;
  }

  /** null where there is no page any more. Overwritten by a later call. */
  at(page: number): Buffer | null {
    const { pageBytes } = this.#sight;
    if ((page < this.#from || page >= this.#to) && !this.#fill(page)) return null;
    const start = (page - this.#from) * pageBytes;
    return this.#block.subarray(start, start + HEAD_BYTES);
  }

  #fill(page: number): boolean {
    const isNext = page === this.#to;
    const pages = isNext ? this.#run(page, 2 * (this.#to - this.#from)) : 1;
    // One that is gone must not hide its neighbours.
    for (const count of new Set([pages, 1])) {
      this.#from = page;
      this.#to = page + count;
      if (this.#read(page, count)) return true;
    }
    return false;
  }

  /** Pages that were touched from this one on, up to so many and as many as a block holds. */
  #run(page: number, most: number): number {
    const room = 1 + Math.floor((this.#block.length - HEAD_BYTES) / this.#sight.pageBytes);
    const end = page + Math.max(1, Math.min(most, room));
    const gap = this.#touched.subarray(page, end).indexOf(0);
    return gap < 0 ? Math.min(end, this.#touched.length) - page : gap;
  }

  #read(page: number, count: number): boolean {
    const { pageBytes } = this.#sight;
    const bytes = (count - 1) * pageBytes + HEAD_BYTES;
    return this.#sight.read(this.#range.start + BigInt(page * pageBytes), this.#block.subarray(0, bytes));
  }
}
