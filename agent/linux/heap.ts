/** The heap of the C library (glibc's malloc). */
import type { Address, Foreign } from './foreign.ts';

export interface Heap {
  /** null where there is no memory, or the block became a mapping of its own: that is no part of the heap. */
  allocate(bytes: number): Address | null;
  /** Wherever it becomes; null where there is no memory. `alignment` is a power of two. */
  allocateAligned(alignment: number, bytes: number): Address | null;
  free(block: Address): void;
}

/** In the word before a block, beside its size (malloc/malloc.c). */
const IS_MMAPPED = 2n;

/** From malloc.h. */
const M_MMAP_THRESHOLD = -3;

/**
 * From now on blocks of `thresholdBytes` and more are mappings of their own, unless the heap has room for them: glibc
 * moves that bound up to 32 MB otherwise. null where the C library lacks one of the functions, or refuses.
 */
export function openHeap(foreign: Foreign, thresholdBytes: number): Heap | null {
  const [malloc, align, release, mallopt] = (['malloc', 'posix_memalign', 'free', 'mallopt'] as const).map(
    (name) => foreign.find(null, name),
  );
  if (!malloc || !align || !release || !mallopt) return null;
  const adjust = foreign.functionAt(mallopt, ['int', 'int', 'int']);
  if (adjust(M_MMAP_THRESHOLD, thresholdBytes) !== 1) return null;
  const allocate = foreign.functionAt(malloc, ['void *', 'size_t']);
  const allocateAligned = foreign.functionAt(align, ['int', 'void *', 'size_t', 'size_t']);
  const free = foreign.functionAt(release, ['void', 'void *']);
  return {
    free,
    allocateAligned: (alignment, bytes) => {
      const out = new BigUint64Array(1);
      return allocateAligned(out, alignment, bytes) === 0 ? (out[0] ?? null) : null;
    },
    allocate: (bytes) => {
      const block = allocate(bytes);
      if (block === null) return null;
      const [header] = foreign.addressesAt(block - 8n, 1);
      if (((header ?? 0n) & IS_MMAPPED) === 0n) return block;
      free(block);
      return null;
    },
  };
}
