/** Puts a file in the place of memory, and takes its pages out of memory and back. All ranges are whole pages. */
import type { Address, Foreign } from './foreign.ts';

export interface Remapping {
  /**
   * Maps a part of an open file over what is at an address: private, so that whatever is written there never gets to
   * the file. False where the kernel refuses; what was there may be gone then.
   */
  mapOver(at: Address, bytes: number, file: number, offset: number): boolean;
  /** Pages of a file leave this process, and come back from the file. Others are lost. False where that cannot be. */
  drop(at: Address, bytes: number): boolean;
  /** For each page 1 where the kernel holds it in memory, else 0; null is "no data". */
  cached(at: Address, bytes: number): Uint8Array | null;
  /**
   * The page cache forgets an open file: all of it, since the kernel keeps what lies across the ends of a part in one
   * piece. What is not on the disk yet, or is in somebody's memory, stays; `cached` tells.
   */
  forget(file: number): void;
}

/** From asm-generic/mman-common.h and mman.h; the same numbers on x64 and arm64. */
const PROT_READ_WRITE = 1 | 2;
const MAP_PRIVATE_FIXED = 0x02 | 0x10;
const MADV_DONTNEED = 4;
/** From linux/fadvise.h; another number on s390 alone. */
const POSIX_FADV_DONTNEED = 4;

/** null where the C library lacks one of the functions. */
export function openRemapping(foreign: Foreign, pageBytes: number): Remapping | null {
  const [mmap, madvise, mincore, fadvise] = (['mmap', 'madvise', 'mincore', 'posix_fadvise'] as const).map(
    (name) => foreign.find(null, name),
  );
  if (!mmap || !madvise || !mincore || !fadvise) return null;
  const map = foreign.functionAt(mmap, ['void *', 'void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const advise = foreign.functionAt(madvise, ['int', 'void *', 'size_t', 'int']);
  const look = foreign.functionAt(mincore, ['int', 'void *', 'size_t', 'void *']);
  const adviseFile = foreign.functionAt(fadvise, ['int', 'int', 'int64_t', 'int64_t', 'int']);
  return {
    mapOver: (at, bytes, file, offset) =>
      map(at, bytes, PROT_READ_WRITE, MAP_PRIVATE_FIXED, file, offset) === at,
    drop: (at, bytes) => advise(at, bytes, MADV_DONTNEED) === 0,
    cached: (at, bytes) => {
      const pages = new Uint8Array(bytes / pageBytes);
      return look(at, bytes, pages) === 0 ? pages : null;
    },
    forget: (file) => {
      // No length is the whole of it.
      adviseFile(file, 0, 0, POSIX_FADV_DONTNEED);
    },
  };
}
