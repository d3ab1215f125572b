/** Memory straight from the kernel: it counts page by page as it is touched, and goes back the moment it is released. */
import type { Address, Foreign } from './foreign.ts';

export interface PageSource {
  /** Bytes of a page: 4,096 on most machines, 16,384 or 65,536 on some arm64. */
  readonly pageBytes: number;
  /** Zeros; none of them takes memory before it is touched. Throws a RangeError where the kernel has none to give. */
  map(bytes: number): Pages;
  /** Both ranges are the caller's, and do not overlap. */
  copy(from: Address, to: Address, bytes: number): void;
}

export interface Pages {
  readonly address: Address;
  readonly bytes: number;
  /** Gives back the whole pages between two offsets; they read as zeros from then on. */
  discard(from: number, to: number): void;
  /** Whoever uses the memory after that ends the process. */
  release(): void;
}

/** From asm-generic/mman-common.h and mman.h; the same numbers on x64 and arm64. */
const PROT_READ_WRITE = 1 | 2;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x02 | 0x20 | 0x4000;
const MADV_DONTNEED = 4;
const MADV_NOHUGEPAGE = 15;
const MAP_FAILED = 2n ** 64n - 1n;
/** From bits/confname.h of glibc. */
const SC_PAGESIZE = 30;

/** null where the C library lacks one of the functions. */
export function openPages(foreign: Foreign): PageSource | null {
  const addresses = (['mmap', 'munmap', 'madvise', 'memcpy', 'sysconf'] as const).map((name) =>
    foreign.find(null, name),
  );
  const [mmap, munmap, madvise, memcpy, sysconf] = addresses;
  if (!mmap || !munmap || !madvise || !memcpy || !sysconf) return null;
  const pageBytes = foreign.functionAt(sysconf, ['int64_t', 'int'])(SC_PAGESIZE);
  const calls: Calls = {
    map: foreign.functionAt(mmap, ['void *', 'void *', 'size_t', 'int', 'int', 'int', 'int64_t']),
    unmap: foreign.functionAt(munmap, ['int', 'void *', 'size_t']),
    advise: foreign.functionAt(madvise, ['int', 'void *', 'size_t', 'int']),
  };
  const copyBytes = foreign.functionAt(memcpy, ['void *', 'void *', 'void *', 'size_t']);
  return {
    pageBytes,
    map: (bytes) => new MappedPages(calls, pageBytes, bytes),
    copy: (from, to, bytes) => {
      copyBytes(to, from, bytes);
    },
  };
}

interface Calls {
  map(
    hint: null,
    bytes: number,
    protection: number,
    flags: number,
    file: number,
    offset: number,
  ): Address | null;
  unmap(address: Address, bytes: number): number;
  advise(address: Address, bytes: number, advice: number): number;
}

class MappedPages implements Pages {
  readonly address: Address;
  readonly bytes: number;
  readonly #calls: Calls;
  readonly #pageBytes: number;
  #released = false;

  constructor(calls: Calls, pageBytes: number, bytes: number) {
    const address = calls.map(null, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0);
    if (address === null || address === MAP_FAILED) {
      throw new RangeError(`The kernel refused ${bytes} bytes of memory`);
    }
    // A huge page counts whole with its first byte.
    calls.advise(address, bytes, MADV_NOHUGEPAGE);
    this.address = address;
    this.bytes = bytes;
    this.#calls = calls;
    this.#pageBytes = pageBytes;
  }

  discard(from: number, to: number): void {
    const first = Math.ceil(from / this.#pageBytes) * this.#pageBytes;
    const end = Math.floor(Math.min(to, this.bytes) / this.#pageBytes) * this.#pageBytes;
    if (!this.#released && end > first) {
      this.#calls.advise(this.address + BigInt(first), end - first, MADV_DONTNEED);
    }
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#calls.unmap(this.address, this.bytes);
  }
}
