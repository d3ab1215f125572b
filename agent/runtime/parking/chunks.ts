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
  /** Fills the first `HEAD_BYTES` of a page; false where there is no page any more. */
  readHead(at: Address, head: Buffer): boolean;
}

/** The chunks that lie within the ranges, whole. */
export function findChunks(ranges: readonly Range[], sight: Sight): readonly Chunk[] {
  const { pageBytes } = sight;
  const head = Buffer.alloc(HEAD_BYTES);
  const chunks: Chunk[] = [];
  for (const range of ranges) {
    const touched = sight.touched(range) ?? new Uint8Array();
    let page = touched.indexOf(1);
    while (page >= 0) {
      const start = range.start + BigInt(page * pageBytes);
      const bytes = sight.readHead(start, head) ? chunkBytes(head, pageBytes) : null;
      const fits = bytes !== null && start + BigInt(bytes) <= range.end;
      if (fits) chunks.push({ start, bytes });
      page = touched.indexOf(1, page + (fits ? bytes / pageBytes : 1));
    }
  }
  return chunks;
}
